"""Labelled songs for genre training: their log-mels, and folds that keep artists apart."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from indexer.audio.reading import SAMPLE_RATE, open_track
from indexer.errors import AnalysisError
from indexer.features.melspectrogram import FrontEnd, log_mel
from recommender.genres.classifier import artist_folds, encode
from recommender.retrieval.names import artist_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from recommender.genres.labels import Song


def hear(
    songs: list[Song], *, windows: int, report: Callable[[str], None]
) -> tuple[list[Song], NDArray[np.float16]]:
    """Log-mels of the songs that can be heard.

    Returns
    -------
    songs : list of Song
    log_mels : ndarray, float16 (songs, windows, frames, bands)
        Where a song has fewer windows they are repeated.
    """
    front_end = FrontEnd()
    kept, heard = [], []
    for song in songs:
        try:
            with open_track(os.fsencode(song.path)) as track:
                sound = track.windows(windows).waveforms[SAMPLE_RATE]
        except AnalysisError as error:
            report(f"{song.path.name} is left out: {error}")
            continue
        mel = log_mel(torch.from_numpy(sound), front_end=front_end)[:, : front_end.window_frames]
        kept.append(song)
        heard.append(mel.half().numpy()[np.arange(windows) % len(mel)])
    return kept, np.stack(heard)


def folds_by_artist(songs: list[Song], *, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each song: an artist is in one only, classes as even as artists allow.

    There are fewer folds where a class has fewer artists; -1 where a song is in none.
    """
    owners = [artist_key(song.artist) or str(song.path) for song in songs]
    _, targets = encode([song.genres[0] for song in songs])
    fold_of = np.full(len(songs), -1, dtype=np.int64)
    owner = np.unique(owners, return_inverse=True)[1]
    for fold, (_, held_out) in enumerate(
        artist_folds(targets, owner, count=folds, random_state=seed)
    ):
        fold_of[held_out] = fold
    return fold_of
