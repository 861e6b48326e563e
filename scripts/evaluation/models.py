"""Models side by side on the development sets, and what the rule of choice says of candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evaluation import bliss, mfcc
from evaluation.candidates import embed_networks, run_stages
from evaluation.choice import MOST_LOST, Verdict, judge
from evaluation.comparison import shuffled
from evaluation.embeddings import embed_all, embedder, load_models, one_thread
from evaluation.music import read_development, read_training
from evaluation.tables import Cell, Figure, Table
from recommender.evaluation.metrics import cosines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from evaluation.candidates import Stage
    from evaluation.choice import Task
    from evaluation.embeddings import Cache, Embeddings, Excerpts, Report
    from recommender.evaluation.metrics import Similarity

    Scores = Sequence[NDArray[np.float64]]

VERDICT_COLUMNS = ("mean difference", "worst task", "verdict")


def measure_models(
    music: Path,
    corpus: Path | None,
    names: Sequence[str],
    *,
    excerpts: Excerpts,
    cache: Cache,
    seed: int,
    report: Report,
) -> list[Table]:
    """Compare models, beside 20 MFCC, bliss and shuffled embeddings, with the first of them.

    Raises
    ------
    QueryError, ModelMissing, ModelCorrupt
    """
    paths, tasks = read_development(music, corpus)
    models = load_models(names)
    with one_thread():
        embedded = {
            name: embed_all(name, paths, embedder(model, excerpts, cache), report=report)
            for name, model in models.items()
        }
        found = embed_all(mfcc.NAME, paths, mfcc.mfcc_embedder(excerpts, cache), report=report)
        if bliss.is_installed():
            embedded[bliss.NAME] = embed_all(
                bliss.NAME, paths, bliss.bliss_embedder(cache), report=report
            )
    everywhere = np.logical_and.reduce([one.present for one in (*embedded.values(), found)])
    tasks = [task.among(everywhere) for task in tasks]
    first = next(iter(models))
    ways: dict[str, list[Similarity]] = {
        name: [cosines(one.vectors[task.rows]) for task in tasks] for name, one in embedded.items()
    }
    ways[mfcc.NAME] = [mfcc.divergence(found.vectors[task.rows]) for task in tasks]
    ways[f"{first}, shuffled"] = [
        shuffled(embedded[first].vectors[task.rows], seed=seed) for task in tasks
    ]
    scores = {
        name: [task.scores(one) for task, one in zip(tasks, by_task, strict=True)]
        for name, by_task in ways.items()
    }
    verdicts = {
        name: None if name == first else judge(tasks, scores[first], of_way, random_state=seed)
        for name, of_way in scores.items()
    }
    embedded[mfcc.NAME] = found
    return [_table(f"Models, against {first}", tasks, scores, verdicts), _costs(embedded)]


def measure_candidates(
    music: Path, corpus: Path | None, *, cache: Cache, seed: int, report: Report
) -> list[Table]:
    """Apply the rule to the candidates for the default model, stage by stage.

    Raises
    ------
    AnalysisError, QueryError, ModelMissing, ModelCorrupt
    """
    paths, tasks = read_development(music, corpus)
    training = read_training(music, None)
    with one_thread():
        arrays = embed_networks([*paths, *training], cache=cache, report=report)
    rows = range(len(paths), len(paths) + len(training))
    recipe, stages = run_stages(arrays, tasks, paths, rows, seed=seed)
    count = sum(len(stage.scores) for stage in stages)
    report(f"{count} candidates were compared; means and axes are of {len(training)} clips")
    report(f"chosen: {recipe}")
    return [_stage_table(stage, tasks) for stage in stages]


def _stage_table(stage: Stage, tasks: Sequence[Task]) -> Table:
    title = f"{stage.title}: {stage.winner}"
    return _table(title, tasks, stage.scores, stage.verdicts, cheaper=stage.cheaper)


def _table(
    title: str,
    tasks: Sequence[Task],
    scores: Mapping[str, Scores],
    verdicts: Mapping[str, Verdict | None],
    *,
    cheaper: bool = False,
) -> Table:
    rows = [
        (name, (*map(_pair, of_way), *_verdict_cells(verdicts[name], cheaper=cheaper)))
        for name, of_way in scores.items()
    ]
    columns = [f"{task.name} ({len(task.query_artists)})" for task in tasks]
    notes = (
        "P@k / mAP over the queries (their number in brackets), own artist left out. Differences: "
        "of the mean of both, over all tasks, to the one in place; in brackets 95 % intervals, "
        f"artists drawn whole. A {'cheaper' if cheaper else 'costlier'} candidate wins "
        f"{'unless all of it is below' if cheaper else 'if all of it is above'} zero, and if no "
        f"task loses more than {MOST_LOST}."
    )
    return Table(title, (*columns, *VERDICT_COLUMNS), tuple(rows), notes)


def _pair(values: NDArray[np.float64]) -> str:
    precision, average = values.mean(0)
    return f"{precision:.3f} / {average:.3f}"


def _verdict_cells(verdict: Verdict | None, *, cheaper: bool) -> tuple[Cell, ...]:
    if verdict is None:
        return (None, None, "first")
    difference = f"{verdict.mean:+.3f} ({verdict.low:+.3f} to {verdict.high:+.3f})"
    return (
        difference,
        f"{verdict.by_task.min():+.3f}",
        "wins" if verdict.wins(is_cheaper=cheaper) else "-",
    )


def _costs(embedded: Mapping[str, Embeddings]) -> Table:
    rows: list[tuple[str, tuple[Cell, ...]]] = [
        (
            name,
            (
                one.vectors.shape[1],
                Figure(round(float(np.nanmedian(one.cpu_s)), 3)),
                Figure(round(float(np.nanmean(one.cpu_s)), 3)),
            ),
        )
        for name, one in embedded.items()
    ]
    columns = ("numbers kept", "CPU s (median)", "CPU s (mean)")
    notes = "Opening, decoding, network; one core, as it was when the embedding was made."
    return Table("What a track costs", columns, tuple(rows), notes)
