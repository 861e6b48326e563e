"""A feature modality for Cornac: python scripts/examples/cornac_modality.py catalog.db"""

import sys

import numpy as np
from cornac.eval_methods import RatioSplit
from cornac.metrics import AUC, Recall
from cornac.models import BPR, ItemKNN

from recommender import Recommender
from recommender.cold_start.features import feature_modality

with Recommender.open(sys.argv[1]) as sound:
    keys = [track.key for track in sound.tracks(sound.ids())]  # your items: the catalog's keys
    rng = np.random.default_rng(0)
    plays = [(f"listener {n}", key, 1.0) for n in range(100) for key in keys if rng.random() < 0.3]
    # What takes features (VBPR, CDL, ...) finds them in the split as item_image or item_feature.
    split = RatioSplit(
        plays, test_size=0.2, exclude_unknowns=True, seed=0,
        item_feature=feature_modality(sound, keys),
    )  # fmt: skip
print("features of", split.train_set.item_feature.features.shape, "in Cornac's own order")
for model in BPR(k=8, seed=0), ItemKNN():
    result, _ = split.evaluate(model, [AUC(), Recall(k=5)], user_based=True)
    print(model.name, result.metric_avg_results)
