"""implicit and a new upload: python scripts/examples/implicit_new_upload.py catalog.db song.mp3"""

import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # what implicit asks for

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from recommender import Recommender
from recommender.cold_start import HybridRecommender

catalog, upload = sys.argv[1:3]
with Recommender.open(catalog) as sound:
    keys = [track.key for track in sound.tracks(sound.ids())]  # your items: the catalog's keys
    plays = np.random.default_rng(0).random((200, len(keys))) < 0.2  # your users' plays
    user_items = csr_matrix(plays.astype(np.float32))
    als = AlternatingLeastSquares(factors=min(32, len(keys)), num_threads=1)
    als.fit(user_items, show_progress=False)
    hybrid = HybridRecommender.from_catalog(als, user_items, sound, item_keys=keys)
    print("upload-7 is served by", hybrid.add_item("upload-7", upload))
    ids, scores = hybrid.recommend(0, user_items[0], N=5)
    print("user 0:", *ids, sep="\n  ")
    print("a new user who likes it:", *hybrid.recommend_liked(["upload-7"], N=5)[0], sep="\n  ")
