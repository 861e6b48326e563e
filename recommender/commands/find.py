"""The command that searches by words: find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recommender.commands.filter_options import where_options
from recommender.commands.lyrics import lyrics_options, read_lyrics
from recommender.commands.options import catalog_option, json_option, playlist_options
from recommender.commands.output import print_json, print_message, printable
from recommender.commands.tables import print_table, track_cell

if TYPE_CHECKING:
    from recommender.retrieval.where import Where
    from recommender.text.search import SearchResult
    from recommender.text.vocabulary import Vocabulary, Word


@click.command(epilog="Example: soundalike find 'calm piano, 90s, no vocals' -n 5")
@click.argument("words", nargs=-1)
@catalog_option
@click.option("-n", "--count", default=10, show_default=True, help="How many tracks.")
@where_options
@lyrics_options
@click.option("--list", "listing", is_flag=True, help="List the known words instead.")
@playlist_options
@json_option
def find(
    words: tuple[str, ...],
    catalog: str,
    count: int,
    where: Where,
    lyrics_weight: float,
    text_model: str | None,
    listing: bool,  # noqa: FBT001 - click hands flags over by name
    out: str | None,
    relative: bool,  # noqa: FBT001
    force: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Print the tracks that match WORDS best.

    WORDS name moods, instruments, voices, genres, decades, years and tempo: "calm piano", "90s
    dance", "female voice, slow". "no vocals" and "not sad" exclude, "jazz or blues" takes either.
    The column of a word is its percentile: the share of the library that matches it less.
    """
    from recommender.engine import Recommender
    from recommender.playlists.files import STDOUT, save
    from recommender.text import search as by_words
    from recommender.text.text_embedding import TextModel, is_available

    if out == STDOUT and as_json:
        raise click.UsageError("--out - and --json both print on stdout: choose one")
    with Recommender.open(catalog) as recommender:
        if listing:
            _print_vocabulary(by_words.vocabulary(recommender), as_json=as_json)
            return
        model = None
        if lyrics_weight > 0 or text_model is not None or is_available():
            model = TextModel(text_model)
        lyrics = None
        if lyrics_weight > 0 and model is not None:
            lyrics = read_lyrics(recommender, catalog, model)
        found = by_words.find(
            recommender,
            " ".join(words),
            count,
            where=where,
            text_model=model,
            lyrics=lyrics,
            lyrics_weight=lyrics_weight,
        )
        tracks = recommender.tracks([hit.id for hit in found])
    if out is not None:
        text = save(tracks, out, relative=relative, title=found.text, overwrite=force)
        if out == STDOUT:
            click.echo(text, nl=False)
    if as_json:
        print_json(found.to_json())
    elif out != STDOUT:
        _print_table(found)
    for one in found.unknown:
        print_message(f"no tag or genre fits {one.text!r}, it was left out: {one.hint}")
    if found.note is not None:
        print_message(found.note)


def _print_table(found: SearchResult) -> None:
    for word in found.words:
        meaning = _meaning(word)
        if meaning != word.text:
            click.echo(f"{printable(word.text)}: {printable(meaning)}")
    has_lyrics = any(hit.lyrics is not None for hit in found)
    print_table(
        (
            "score",
            *(_column(word) for word in found.words),
            *(("lyrics",) if has_lyrics else ()),
            *("id", "track"),
        ),
        [
            (
                f"{hit.score:.3f}",
                *(f"{match.percentile:.2f}" for match in hit.matches),
                *(("" if hit.lyrics is None else f"{hit.lyrics:.2f}",) if has_lyrics else ()),
                *(hit.id, track_cell(hit)),
            )
            for hit in found
        ],
    )


def _column(word: Word) -> str:
    return word.text if word.wanted else f"not {word.text}"


def _meaning(word: Word) -> str:
    """Tags, genres, years and measures that a word stands for."""
    parts = list(dict.fromkeys((*word.tags, *(f"genre {genre}" for genre in word.genres))))
    if word.years is not None:
        first, last = word.years
        several = f"{first or ''} to {last or ''}".strip()
        parts.append(f"year {first if first == last else several}")
    if word.measure is not None:
        parts.append(f"{word.measure.split('_')[0]} {word.target}")
    return ", ".join(parts)


def _print_vocabulary(known: Vocabulary, *, as_json: bool) -> None:
    synonyms = {text: _meaning(word) for text, word in known.synonyms.items()}
    if as_json:
        print_json({"tags": known.tags, "genres": known.genres, "synonyms": synonyms})
        return
    rows = [("tag", tag, "") for tag in known.tags]
    rows += [("genre", genre, "") for genre in known.genres]
    rows += [("synonym", text, meaning) for text, meaning in synonyms.items()]
    print_table(("kind", "word", "stands for"), rows)
