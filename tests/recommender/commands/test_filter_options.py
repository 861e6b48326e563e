from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from recommender.commands.options.filters import where_options
from recommender.commands.options.shared import in_seconds

if TYPE_CHECKING:
    from recommender.retrieval.where import Where


@click.command()
@where_options
def show(where: Where) -> None:
    click.echo(repr((where.year, where.duration_s, where.tempo)))


@pytest.mark.parametrize(
    ("option", "text", "bounds"),
    [
        ("--year", "1990-1999", (1990.0, 1999.0)),
        ("--year", "1994", (1994.0, 1994.0)),
        ("--year", "90s", (1990.0, 1999.0)),
        ("--year", "1920s", (1920.0, 1929.0)),
        ("--year", "10s", (2010.0, 2019.0)),
        ("--duration", "2m-5m", (120.0, 300.0)),
        ("--duration", "-1:30", (None, 90.0)),
        ("--duration", "200-", (200.0, None)),
        ("--tempo", "90-110", (90.0, 110.0)),
        ("--year", "-1959", (None, 1959)),
        ("--year", "1960 -", (1960, None)),
        ("--tempo", "100", (96.0, 104.0)),
        ("--tempo", "-110", (None, 110.0)),
    ],
)
def test_ranges_are_read_as_people_write_them(
    option: str, text: str, bounds: tuple[float | None, float | None]
) -> None:
    done = CliRunner().invoke(show, [option, text])
    index = ("--year", "--duration", "--tempo").index(option)
    assert ast.literal_eval(done.output)[index] == bounds


@pytest.mark.parametrize(
    ("option", "text"),
    [("--year", "²"), ("--year", "2m"), ("--year", ""), ("--tempo", "nan"), ("--tempo", "-")],
)
def test_what_is_no_range_is_refused(option: str, text: str) -> None:
    done = CliRunner().invoke(show, [option, text])
    assert done.exit_code == 2
    assert "is no range" in done.output


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1m30s", 90), ("1:30", 90), ("1:00:01", 3601), ("2h", 7200), ("45", None)],
)
def test_times_have_a_unit(text: str, seconds: float | None) -> None:
    assert in_seconds(text) == seconds
