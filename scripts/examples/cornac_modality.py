"""Embeddings as item features of Cornac: python scripts/examples/cornac_modality.py catalog.db"""

import sys

import numpy as np
from cornac.data import ImageModality
from cornac.eval_methods import RatioSplit
from cornac.metrics import AUC, Recall
from cornac.models import BPR, VBPR

from recommender import Recommender
from recommender.cold_start.item_features import feature_modality

with Recommender.open(sys.argv[1]) as sound:
    keys = [track.key for track in sound.tracks(sound.ids())]  # your items: the catalog's keys
    modality = feature_modality(sound, keys)
rng = np.random.default_rng(0)
plays = [(f"user {n}", key, 1.0) for n in range(100) for key in keys if rng.random() < 0.3]
# VBPR looks for the features of items under the name of images.
image = ImageModality(features=modality.features, ids=modality.ids, normalized=False)
split = RatioSplit(plays, test_size=0.2, exclude_unknowns=True, seed=0, item_image=image)
print("features of", split.train_set.item_image.features.shape, "in Cornac's own order")
vbpr = VBPR(k=8, k2=8, n_epochs=5, batch_size=50, seed=0, verbose=False)
for model in BPR(k=8, seed=0), vbpr:
    result, _ = split.evaluate(model, [AUC(), Recall(k=5)], user_based=True)
    print(model.name, result.metric_avg_results)
print("VBPR's factors of the items' embeddings:", vbpr.theta_item.shape)
