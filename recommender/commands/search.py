"""Commands that search: similar, show, find."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from indexer.filesystem import display_path
from recommender.commands.options.filters import ranking_options, where_options
from recommender.commands.options.lyrics import lyrics_options, read_lyrics, with_lyrics
from recommender.commands.options.shared import (
    catalog_option,
    count_option,
    json_option,
    playlist_options,
)
from recommender.commands.options.steering import steering_options
from recommender.commands.terminal.output import duration, print_json, print_message, printable
from recommender.commands.terminal.tables import print_answer, print_table, track_cell
from recommender.retrieval.details import TOP_TAGS, track_details

if TYPE_CHECKING:
    from indexer.catalog.records import Track
    from recommender.retrieval.ranking import Ranking
    from recommender.retrieval.where import Where
    from recommender.retrieval.words.vocabulary import Vocabulary, Word
    from recommender.text.search import SearchResult


@click.command(epilog="Example: soundalike similar 'so what' 17 --dislike 4 --more calmer --why")
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...")
@click.option(
    "--dislike", multiple=True, metavar="QUERY", help="Away from this one; can be repeated."
)
@click.option(
    "--strategy",
    type=click.Choice(["average", "best-score"]),
    default="average",
    show_default=True,
    help="Of several QUERYs: nearest to their average, or to any of them.",
)
@catalog_option
@count_option
@ranking_options
@where_options
@steering_options
@lyrics_options
@click.option("--why", is_flag=True, help="Print what each has in common with QUERY.")
@click.option(
    "--why-windows",
    is_flag=True,
    help="Also which seconds of both are most alike: decodes the files again.",
)
@click.option(
    "--include-same", is_flag=True, help="Also list QUERY itself and its near-duplicates."
)
@json_option
def similar(
    queries: tuple[str, ...],
    dislike: tuple[str, ...],
    strategy: str,
    catalog: str,
    count: int,
    where: Where,
    ranking: Ranking,
    more: tuple[str, ...],
    less: tuple[str, ...],
    lyrics_weight: float,
    text_model: str | None,
    why: bool,  # noqa: FBT001 - click hands flags over by name
    why_windows: bool,  # noqa: FBT001
    include_same: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Print the tracks that sound most like QUERY, or like several of them.

    QUERY is a catalog id, a key, the path of a file in the catalog or of any other file, or a part
    of "artist - title". The score is the share of random pairs of the catalog that are less alike.
    With --more and --less, each answer says how well each word fits it, as a percentile of the
    library, and by how many places the word moved it up.
    """
    from recommender.engine import Recommender
    from recommender.text.fusion import POOL

    with Recommender.open(catalog) as recommender:
        answer = recommender.similar_to_tracks(
            queries,
            dislike,
            max(count, POOL) if lyrics_weight else count,
            strategy="average" if strategy == "average" else "best_score",
            where=where,
            ranking=ranking,
            more=more,
            less=less,
            include_same=include_same,
            why="windows" if why_windows else why,
        )
        if lyrics_weight:
            answer = with_lyrics(
                recommender,
                answer,
                queries,
                weight=lyrics_weight,
                text_model=text_model,
                n=count,
            )
        print_answer(answer, as_json=as_json)


@click.command(epilog="Example: soundalike show 17 --json")
@click.argument("query")
@catalog_option
@json_option
def show(query: str, catalog: str, as_json: bool) -> None:  # noqa: FBT001
    """Print all that the catalog knows of one track, and its strongest tags."""
    from recommender.engine import Recommender

    with Recommender.open(catalog) as recommender:
        track = recommender.track(query)
        tags = recommender.tags(track.id)[:TOP_TAGS]
    if as_json:
        print_json(track_details(track, tags))
        return
    for name, text in _facts(track).items():
        click.echo(f"{name.ljust(12)}  {printable(text)}")
    click.echo()
    print_table(("probability", "tag"), [(f"{value:.2f}", tag) for tag, value in tags])


def _facts(track: Track) -> dict[str, str]:
    """What the catalog knows of a track, in words and with units; what it does not is left out."""
    added = datetime.fromtimestamp(track.added_at, UTC).astimezone()
    known = {
        "id": track.id,
        "key": track.key,
        "path": display_path(track.path),
        "status": track.status,
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "album artist": track.album_artist,
        "genre": track.genre,
        "year": track.year,
        "track number": track.track_number,
        "disc number": track.disc_number,
        "ISRC": track.isrc,
        "recording": _musicbrainz("recording", track.musicbrainz_track_id),
        "release": _musicbrainz("release", track.musicbrainz_album_id),
        "cover": "in the file" if track.has_cover else None,
        "added": f"{added:%Y-%m-%d %H:%M}",
        "duration": duration(track.duration_s),
        "container": track.container,
        "codec": track.codec,
        "bit rate": _quantity(track.bit_rate, ".0f", "kbit/s", per=1000),
        "sample rate": _quantity(track.sample_rate, "g", "kHz", per=1000),
        "bit depth": _quantity(track.bit_depth, "g", "bits"),
        "channels": track.channels,
        "analysed": None
        if track.channel is None
        else f"channel {track.channel + 1}, as channels cancel out",
        "tempo": _quantity(track.tempo_bpm, ".1f", "BPM", confidence=track.tempo_confidence),
        "musical key": _quantity(track.musical_key, "", "", confidence=track.key_confidence),
        "loudness": _quantity(track.loudness_lufs, ".1f", "LUFS"),
        "brightness": _quantity(track.brightness_hz, ".0f", "Hz"),
    }
    return {name: str(value) for name, value in known.items() if value is not None}


def _musicbrainz(kind: str, mbid: str | None) -> str | None:
    return None if mbid is None else f"https://musicbrainz.org/{kind}/{mbid}"


def _quantity(
    value: float | str | None,
    precision: str,
    unit: str,
    *,
    per: float = 1,
    confidence: float | None = None,
) -> str | None:
    if value is None:
        return None
    number = value if isinstance(value, str) else f"{value / per:{precision}}"
    certainty = "" if confidence is None else f"(confidence {confidence:.2f})"
    return " ".join(part for part in (number, unit, certainty) if part)


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
    from recommender.text.search import find as find_by_words
    from recommender.text.text_embedding import TextModel, is_available

    if out == STDOUT and as_json:
        raise click.UsageError("--out - and --json both print on stdout: choose one")
    with Recommender.open(catalog) as recommender:
        if listing:
            _print_vocabulary(recommender.vocabulary, as_json=as_json)
            return
        model = None
        if lyrics_weight > 0 or text_model is not None or is_available():
            model = TextModel(text_model)
        lyrics = None
        if lyrics_weight > 0 and model is not None:
            lyrics = read_lyrics(recommender, model)
        found = find_by_words(
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
        _print_hits(found)
    for one in found.unknown:
        print_message(f"no tag or genre fits {one.text!r}, it was left out: {one.hint}")
    if found.note is not None:
        print_message(found.note)


def _print_hits(found: SearchResult) -> None:
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
    return f"not {word.text}" if word.avoided else word.text


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
