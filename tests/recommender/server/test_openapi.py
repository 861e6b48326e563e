"""Requests made up from the OpenAPI document, and whether the answers are what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import schemathesis
import schemathesis.checks as check_names
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import GenerationMode

from recommender.server.app import REFUSALS, create_app
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import start_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.server.context import Context

DOCUMENT: dict[str, Any] = create_app(cast("Context", None)).openapi()
TRACKS = 8
EXAMPLES = 20
SLOW = ("clusters", "duplicates", ".png")
"""What is worked out in a process of its own, for seconds: asked once, as the examples have it."""
ENDLESS = ("/events",)
"""Answers without an end: `test_attacks.py` and the tests of index runs ask them."""
TRACK_NAMES = ("like", "start", "end", "seed", "id", "first", "second")
FAULTS = ("not_a_server_error", "positive_data_acceptance")
"""Checks that are left out. 503 is documented where a model, a folder or room is missing, and other
5xx are asserted against here; that a text names no track, key or word no schema can say."""
SEVERAL = ("/navidrome",)
"""Whose body is one of several, told apart by a field: what is made up to break one of the schemas
may keep another, and is accepted rightly (`test_navidrome.py` breaks them all)."""


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    found = [one.ok() for one in schema.get_all_operations()]
    return [one for one in found if not one.path.endswith(ENDLESS)]


OPERATIONS = operations()
QUICK = [one for one in OPERATIONS if not one.path.endswith(SLOW)]
TAKING = [one for one in QUICK if one.query or one.body or one.path_parameters]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tracks = [
        Planted(
            f"Song {number}",
            {"piano": 0.1 * number},
            genre="Jazz" if number < 4 else "Rock",
            year=1990 + number,
            artist=f"Band {number}",
            album="Album",
            tempo_bpm=80.0 + number,
            duration_s=100.0,
        )
        for number in range(1, TRACKS + 1)
    ]
    catalog = plant(tmp_path_factory.mktemp("openapi"), ("piano", "calm", "loud"), tracks)
    with start_server(catalog) as running:
        yield running.url.rstrip("/")


def name_tracks_that_are_there(case: Any) -> Any:
    """Made-up names are answered with 404 alone: most cases are about tracks of the catalog."""
    if "track_id" in case.path_parameters:
        case.path_parameters["track_id"] = 1 + case.path_parameters["track_id"] % TRACKS
    for number, name in enumerate(TRACK_NAMES, start=1):
        if name in case.query:
            case.query[name] = number
    if isinstance(case.body, dict) and "seed" in case.body:
        case.body["seed"] = 1
    if "words" in case.path:
        case.query["q"] = "piano"
    return case


def ask(operation: Any, mode: GenerationMode, url: str, *, examples: int) -> list[int]:
    statuses: list[int] = []
    broken = ["negative_data_rejection"] if operation.path.endswith(SEVERAL) else []
    left_out = check_names.CHECKS.get_by_names([*FAULTS, *broken])

    @settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and len(statuses) % 4:
            case = name_tracks_that_are_there(case)
        assume(case.method != "TRACE")
        answer = case.call(base_url=url, timeout=60)
        statuses.append(answer.status_code)
        if answer.status_code not in REFUSALS:
            case.validate_response(answer, excluded_checks=left_out)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.status_code >= 400 and case.method != "HEAD":
            problem = answer.json()
            assert problem["status"] == answer.status_code
            assert problem["detail"]
            assert "\n" not in problem["detail"]

    check_names.load_all_checks()
    one()
    return statuses


@pytest.mark.parametrize("operation", QUICK, ids=lambda one: one.label)
def test_what_the_document_allows_is_answered_as_it_says(operation: Any, url: str) -> None:
    assert ask(operation, GenerationMode.POSITIVE, url, examples=EXAMPLES)


@pytest.mark.parametrize("operation", TAKING, ids=lambda one: one.label)
def test_what_the_document_forbids_is_refused_in_one_sentence(operation: Any, url: str) -> None:
    statuses = ask(operation, GenerationMode.NEGATIVE, url, examples=EXAMPLES)
    assert any(400 <= status < 500 for status in statuses)


@pytest.mark.slow
@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one not in QUICK], ids=lambda one: one.label
)
def test_slow_work_is_answered_as_the_document_says(operation: Any, url: str) -> None:
    assert ask(operation, GenerationMode.POSITIVE, url, examples=1)
