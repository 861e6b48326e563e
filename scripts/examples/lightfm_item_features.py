"""Item features for LightFM: python scripts/examples/lightfm_item_features.py catalog.db

`pip install rectools-lightfm` brings LightFM to Python 3.11 and later; where it is not installed,
the matrix is made and described.
"""

import sys

import numpy as np
from scipy.sparse import coo_matrix

from recommender import Recommender
from recommender.cold_start.item_features import item_features

with Recommender.open(sys.argv[1]) as sound:
    ids = sound.ids()  # your items: ids or keys of the catalog
    features = item_features(sound, ids, sparse=True, identity=True)
print("item features:", features.shape, features.dtype, features.format)
plays = coo_matrix(np.random.default_rng(0).random((200, len(ids))) < 0.2, dtype=np.float32)
try:
    from lightfm import LightFM
except ImportError:
    print("LightFM is not installed: model.fit(plays, item_features=features)")
else:
    model = LightFM(no_components=16, loss="warp")
    model.fit(plays, item_features=features, epochs=5)
    scores = model.predict(0, np.arange(len(ids)), item_features=features)
    print("user 0:", ids[np.argsort(-scores)[:5]])
