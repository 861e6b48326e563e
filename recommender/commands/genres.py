"""Commands for genres: genres train, genres predict, genres report, and genre."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recommender.commands.options.shared import catalog_option, json_option, random_state_option
from recommender.commands.terminal.output import print_json, print_message, printable
from recommender.commands.terminal.tables import print_table, track_cell
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from recommender.engine import Recommender
    from recommender.genres.answers import PredictedGenres
    from recommender.genres.classifier import GenreClassifier
    from recommender.genres.report import GenreProfile, GenreReport

FIRST_GENRES = 5
MISTAKES = 8

classifier_option = click.option(
    "--classifier",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the classifier. [default: beside the catalog, catalog.genres]",
)


@click.group(epilog="Example: soundalike genres train && soundalike genres report")
def genres() -> None:
    """Learn the genres of the library, and predict those that are missing."""


@genres.command(epilog="Example: soundalike genres train --labels ~/gtzan/genres")
@catalog_option
@click.option(
    "--labels",
    type=click.Path(exists=True, path_type=Path),
    help="A folder with one folder a genre, or a CSV with columns path, genre and artist "
    "(FMA's tracks.csv too). [default: the genre tags of the library]",
)
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only these rows of the CSV; can be repeated.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the classifier. [default: beside the catalog, catalog.genres]",
)
@random_state_option
@json_option
def train(
    catalog: str,
    labels: Path | None,
    where: tuple[str, ...],
    out: Path | None,
    random_state: int,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Train a genre classifier on labelled tracks, and measure it on held-out artists.

    Genres of fewer than 5 tracks or 3 artists are left out.
    """
    from recommender.engine import Recommender
    from recommender.genres import training
    from recommender.genres.answers import classifier_path
    from recommender.genres.report import genre_report

    with Recommender.open(catalog) as recommender:
        path = out or classifier_path(recommender.path)
        training_set = (
            training.training_set_from_labels(
                recommender, labels, where=where, report=print_message
            )
            if labels
            else training.training_set_from_tags(recommender)
        )
        classifier, held_out = training.train(
            training_set, random_state=random_state, report=print_message
        )
        training.save(path, classifier, held_out, training_set, recommender)
        report = genre_report(recommender, path)
    _warn_of_doubt(report.evaluation)
    if training_set.unmatched:
        some = ", ".join(training_set.unmatched[:3])
        print_message(
            f"{len(training_set.unmatched)} labelled songs are not in the catalog and could not "
            f"be analysed ({some})"
        )
    if as_json:
        print_json({"classifier": str(path), **report.to_json()})
        return
    _print_figures(report)
    click.echo(f"\n{path}: `soundalike genres report` prints what it gets wrong")


@genres.command(epilog="Example: soundalike genres predict --at-least 0.6 --json")
@click.argument("queries", nargs=-1, metavar="[QUERY|FILE]...")
@catalog_option
@classifier_option
@click.option(
    "--at-least",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Without QUERY: least probability of a prediction.",
)
@json_option
def predict(
    queries: tuple[str, ...],
    catalog: str,
    classifier: Path | None,
    at_least: float,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Predict the genres of tracks or files from their sound.

    Without QUERY, of all tracks that have no genre tag. Tags are not changed.
    """
    from recommender.engine import Recommender
    from recommender.genres.answers import classifier_path, predict_genres, predict_missing_genres

    with Recommender.open(catalog) as recommender:
        found = _read_classifier(recommender, classifier or classifier_path(recommender.path))
        if queries:
            _print_each(
                [predict_genres(recommender, found, query) for query in queries], as_json=as_json
            )
            return
        missing = predict_missing_genres(recommender, found, at_least=at_least)
        named = [] if as_json else [one.id for one in missing if one.id is not None]
        tracks = {track.id: track for track in recommender.tracks(named)}
    if as_json:
        print_json({"predictions": [one.to_json() for one in missing]})
    elif not missing:
        click.echo(
            "every track has a genre tag"
            if not at_least
            else f"no prediction of at least {at_least:g}"
        )
    else:
        print_table(
            ("probability", "genre", "id", "track"),
            [
                (
                    f"{one.predictions[0].probability:.2f}",
                    one.predictions[0].genre,
                    one.id,
                    track_cell(tracks[one.id]),
                )
                for one in missing
                if one.id is not None
            ],
        )


@genres.command(epilog="Example: soundalike genres report --png confusion.png")
@catalog_option
@classifier_option
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw the confusion matrix into this file.",
)
@json_option
def report(
    catalog: str,
    classifier: Path | None,
    png: Path | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Print how well genres are predicted, which are confused, and what each sounds like."""
    from recommender.engine import Recommender
    from recommender.genres.answers import classifier_path
    from recommender.genres.report import genre_report
    from recommender.plots.confusion import draw_confusion
    from recommender.plots.style import check_target, need_matplotlib

    if png:
        need_matplotlib()
        check_target(png, ".png")
    with Recommender.open(catalog) as recommender:
        found = genre_report(recommender, classifier or classifier_path(recommender.path))
    if png:
        figures = found.evaluation
        draw_confusion(
            found.confusion,
            png,
            title=f"Genres predicted for {figures['tracks']} tracks of held-out artists: "
            f"{figures['accuracy']:.0%} right",
        )
    _warn_of_doubt(found.evaluation)
    if as_json:
        print_json(found.to_json())
        return
    _print_figures(found)
    _print_confusion(found)
    for profile in found.genres:
        _print_profile(profile)


@click.command(epilog="Example: soundalike genre ~/Downloads/upload.mp3")
@click.argument("query", metavar="FILE")
@catalog_option
@classifier_option
@click.option("--model", help="Name or file of a model whose tags are genres; needs no catalog.")
@json_option
def genre(
    query: str,
    catalog: str,
    classifier: Path | None,
    model: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Predict the genres of FILE, or of a track of the catalog, from its sound.

    With the classifier of the catalog (`soundalike genres train`), or with --model by the tags of a
    model, as `scripts/train.py genre` makes.
    """
    from recommender.engine import Recommender
    from recommender.genres.answers import classifier_path, predict_genres, predict_genres_by_model

    if model and classifier:
        raise click.UsageError("--model needs no --classifier: give one of them")
    if model:
        predicted = predict_genres_by_model(query, model)
    else:
        with Recommender.open(catalog) as recommender:
            found = _read_classifier(recommender, classifier or classifier_path(recommender.path))
            predicted = predict_genres(recommender, found, query)
    _print_each([predicted], as_json=as_json)


def _read_classifier(recommender: Recommender, path: Path) -> GenreClassifier:
    """The classifier, with a warning where it is not better than chance."""
    from recommender.genres.classifier import read_file

    found, notes, _ = read_file(path, model=recommender.model)
    _warn_of_doubt(notes.get("evaluation"))
    return found


def _warn_of_doubt(figures: dict[str, Any] | None) -> None:
    from recommender.genres.held_out import chance_warning

    if figures is not None and (warning := chance_warning(figures)):
        print_message(warning)


def _print_each(predictions: Sequence[PredictedGenres], *, as_json: bool) -> None:
    if as_json:
        print_json({"predictions": [one.to_json() for one in predictions]})
        return
    for one in predictions:
        own = f" (its tag: {one.own_genre})" if one.own_genre else ""
        click.echo(f"{printable(one.name)}{printable(own)} sounds like:")
        print_table(
            ("probability", "genre"),
            [
                (f"{prediction.probability:.2f}", prediction.genre)
                for prediction in one.predictions[:FIRST_GENRES]
            ],
        )


def _print_figures(report: GenreReport) -> None:
    figures = report.evaluation
    low, high = figures["accuracy_interval"]
    prediction = 1 / len(figures["confusion"]["genres"])
    click.echo(
        f"{figures['tracks']} tracks of {len(figures['confusion']['genres'])} genres by "
        f"{figures['artists']} artists, labels from {printable(report.source)}, "
        f"{figures['folds']} folds, no artist in two"
    )
    print_table(
        ("", "held-out artists", "by chance", "embeddings shuffled"),
        [
            (
                "accuracy",
                f"{figures['accuracy']:.3f} ({low:.3f} to {high:.3f})",
                f"{figures['commonest_genre']:.3f}",
                f"{figures['shuffled_embeddings']:.3f}",
            ),
            ("balanced accuracy", f"{figures['balanced_accuracy']:.3f}", f"{prediction:.3f}", ""),
            ("macro F1", f"{figures['macro_f1']:.3f}", "", ""),
            (
                "calibration error",
                f"{figures['calibration_error']:.3f} ({figures['uncalibrated_error']:.3f} before)",
                "",
                "",
            ),
        ],
    )
    if report.unknown_artists:
        print_message(
            f"tracks that name no artist and count as artists of their own: "
            f"{report.unknown_artists}; accuracy may flatter"
        )
    if report.left_out:
        some = ", ".join(
            f"{one['genre']} ({one['tracks']} by {one['artists']})" for one in report.left_out[:5]
        )
        more = len(report.left_out) - 5
        print_message(
            f"{len(report.left_out)} genres of fewer than 5 tracks or 3 artists were left out: "
            f"{some}{f' and {more} more' if more > 0 else ''}"
        )


def _print_confusion(report: GenreReport) -> None:
    confusion = report.confusion
    click.echo("\ngenre (row), predicted as (column)")
    marks = [str(number) for number, _ in enumerate(confusion.genres, start=1)]
    rows = [[mark, *row] for mark, row in zip(marks, confusion.rows(), strict=True)]
    print_table(("", "genre", *marks, "recall"), rows)
    if report.mistakes:
        click.echo()
        print_table(
            ("tracks", "genre", "predicted", "for example"),
            [
                (one.tracks, one.genre, one.predicted_as, "; ".join(e.name for e in one.examples))
                for one in report.mistakes[:MISTAKES]
            ],
        )


def _print_profile(profile: GenreProfile) -> None:
    click.echo(f"\n{printable(profile.genre)}: {count_noun(profile.tracks, 'track')}")
    lines = [
        ("tags", ", ".join(f"{tag.tag} {tag.probability:.2f}" for tag in profile.tags)),
        ("moods", ", ".join(f"{tag.tag} {tag.probability:.2f}" for tag in profile.moods)),
        ("typical", "; ".join(f"{e.name} {e.probability:.2f}" for e in profile.typical)),
        ("atypical", "; ".join(f"{e.name} {e.probability:.2f}" for e in profile.atypical)),
    ]
    for label, text in lines:
        if text:
            click.echo(f"  {label.ljust(8)}  {printable(text)}")
