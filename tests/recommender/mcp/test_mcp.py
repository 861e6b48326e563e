"""The tools, called by the SDK's own client: in memory, and once as a process over stdio."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from recommender import Recommender
from recommender.mcp.server import TITLES, make_server
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp import CallToolResult

    Run = Callable[..., tuple[int, str, str]]

COUNT = 30
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tracks = [
        Planted(
            f"Song {number}",
            {"calm": number / COUNT},
            artist=f"Band {number % 10}",
            album="Naïve ♫",
            genre="Jazz" if number % 2 else "Rock",
            year=1980 + number,
            duration_s=100.0 + 15 * number,
        )
        for number in range(COUNT)
    ]
    return plant(tmp_path_factory.mktemp("catalog"), ["calm"], tracks)


@pytest.fixture(scope="module")
def recommender(catalog: Path) -> Iterator[Recommender]:
    with Recommender.open(catalog) as opened:
        yield opened


def ask(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[CallToolResult]:
    """Call tools of a server, one after another."""
    from mcp import Client

    async def run() -> list[CallToolResult]:
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(run)


def answer(server: Any, name: str, **arguments: object) -> dict[str, Any]:
    (result,) = ask(server, (name, arguments))
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    # The same as text, for clients that do not read structured answers.
    (text,) = result.content
    assert json.loads(text.text) == result.structured_content  # type: ignore[union-attr]
    return result.structured_content


def refusal(server: Any, name: str, **arguments: object) -> str:
    (result,) = ask(server, (name, arguments))
    assert result.is_error
    (text,) = result.content
    return str(text.text)  # type: ignore[union-attr]


def test_tools_are_read_only_and_each_argument_has_a_sentence(recommender: Recommender) -> None:
    from mcp import Client

    async def listed() -> Any:
        async with Client(make_server(recommender)) as client:
            assert "search" in (client.instructions or "")
            return await client.list_tools()

    tools = anyio.run(listed).tools
    assert [tool.name for tool in tools] == list(TITLES)
    for tool in tools:
        assert tool.title
        assert tool.description.strip()
        assert tool.annotations.read_only_hint
        assert not tool.annotations.open_world_hint
        assert tool.output_schema["type"] == "object"
        for name, schema in tool.input_schema["properties"].items():
            assert schema.get("description"), (tool.name, name)


@pytest.mark.parametrize(
    ("tool", "arguments", "command"),
    [
        ("similar", {"liked": [3]}, ("similar", "3")),
        (
            "similar",
            {"liked": ["song 12", 3], "disliked": [8], "n": 4, "genre": ["jazz"], "why": True},
            ("similar", "song 12", 3, "--dislike", 8, "-n", 4, "--genre", "jazz", "--why"),
        ),
        (
            "similar",
            {"liked": [3], "more": ["calm"], "per_artist": 1, "year_from": 1985},
            ("similar", 3, "--more", "calm", "--per-artist", 1, "--year", "1985-"),
        ),
        ("words", {"text": "calm, no jazz", "n": 3}, ("find", "calm, no jazz", "-n", 3)),
        (
            "station",
            {"seed": 5, "n": 6, "liked": [7], "disliked": [9], "random_state": 4},
            ("station", 5, "-n", 6, "--like", 7, "--dislike", 9, "--random-state", 4),
        ),
        ("path", {"start": 1, "end": 9, "steps": 4}, ("path", 1, 9, "-n", 4)),
        ("show", {"track": "song 12"}, ("show", "song 12")),
    ],
)
def test_answers_are_those_of_the_commands(
    recommender: Recommender,
    catalog: Path,
    run: Run,
    tool: str,
    arguments: dict[str, Any],
    command: tuple[object, ...],
) -> None:
    status, printed, _ = run(*command, "--catalog", catalog, "--json")
    assert status == 0
    assert answer(make_server(recommender), tool, **arguments) == json.loads(printed)


def test_tracks_are_listed_by_name_page_by_page(recommender: Recommender) -> None:
    server = make_server(recommender)
    page = answer(server, "search", text="song", n=20)
    assert (page["total"], len(page["tracks"])) == (COUNT, 20)
    rest = answer(server, "search", text="song", n=20, after=page["next"])
    assert rest["next"] is None
    ids = [track["id"] for track in (*page["tracks"], *rest["tracks"])]
    assert sorted(ids) == list(range(1, COUNT + 1))
    (one,) = answer(server, "search", text="song 12")["tracks"]
    assert one["album"] == "Naïve ♫"
    assert "path" not in one
    found = answer(server, "search", genre=["rock"], year_from=2000, year_to=2003)["tracks"]
    assert [track["year"] for track in found] == [2000, 2002]
    assert answer(server, "search", text="none such")["note"]


def test_errors_are_our_sentences(recommender: Recommender, tmp_path: Path) -> None:
    server = make_server(recommender)
    unknown: list[tuple[str, dict[str, Any]]] = [
        ("show", {"track": 999}),
        ("similar", {"liked": ["nobody"]}),
    ]
    for name, arguments in unknown:
        said = refusal(server, name, **arguments)
        assert "no track of the catalog is" in said
        # What a tool can do about it, not what a command does.
        assert "`search`" in said
        assert "soundalike" not in said
    several = refusal(server, "station", seed="song")
    assert "30 tracks fit 'song'" in several
    assert "Band 1 - Song 1" in several
    assert "nonsense" in refusal(server, "similar", liked=[1], more=["nonsense"])
    for wrong in ({"liked": []}, {"liked": [1], "n": 0}, {"liked": [1], "n": 2**31}, {}):
        assert "validation error" in refusal(server, "similar", **wrong)
    for wrong in ({"liked": [True]}, {"liked": [1], "n": True}, {"liked": [1.5]}):
        assert "validation error" in refusal(server, "similar", **wrong)
    assert "validation error" in refusal(server, "words", text="x" * 501)
    # A file that the catalog does not hold is not looked at.
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"RIFF")
    for path in (secret, Path("/etc/passwd"), tmp_path / "not there"):
        said = refusal(server, "similar", liked=[str(path)])
        assert f"no track of the catalog is {str(path)!r}" in said


def test_arguments_that_a_tool_does_not_have_are_refused(recommender: Recommender) -> None:
    from mcp import Client

    async def listed() -> Any:
        async with Client(make_server(recommender)) as client:
            return (await client.list_tools()).tools

    for tool in anyio.run(listed):
        assert tool.input_schema["additionalProperties"] is False
    said = refusal(make_server(recommender), "similar", liked=[7], limit=2)
    assert "limit" in said
    assert "not permitted" in said


def test_a_track_is_not_liked_and_disliked(recommender: Recommender) -> None:
    server = make_server(recommender)
    for said in (
        refusal(server, "similar", liked=[3, 4], disliked=[4]),
        refusal(server, "station", seed=5, liked=[3, 4], disliked=[4]),
    ):
        assert "Band 3 - Song 3 is both liked and disliked" in said


def test_a_track_that_has_gone_is_named_as_such(run: Run, tmp_path: Path) -> None:
    catalog = plant(tmp_path, ["calm"], [Planted("One"), Planted("Two"), Planted("Three")])
    assert run("remove", "2", "--catalog", catalog)[0] == 0
    with Recommender.open(catalog) as opened:
        said = refusal(make_server(opened), "station", seed=2)
    assert "track 2 (Band - Two) is removed" in said
    assert "`search`" in said
    assert "soundalike add" not in said


def test_a_client_is_answered_over_stdio(catalog: Path) -> None:
    from mcp import StdioServerParameters

    command = ["-m", "recommender", "mcp", "--catalog", str(catalog)]
    shown, missing = ask(
        StdioServerParameters(command=sys.executable, args=command, cwd=str(Path.cwd())),
        ("show", {"track": 3}),
        ("show", {"track": 999}),
    )
    assert shown.structured_content is not None
    assert shown.structured_content["title"] == "Song 2"
    assert missing.is_error


def test_stdout_carries_the_protocol_only_and_it_ends_with_stdin(catalog: Path) -> None:
    messages = [
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "show", "arguments": {"track": 3}},
        },
    ]
    command = [sys.executable, "-m", "recommender", "mcp", "--catalog", str(catalog)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = []
        for message in messages:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            if "id" in message:
                lines.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(30) == 0
    assert [(line["jsonrpc"], line["id"]) for line in lines] == [("2.0", 1), ("2.0", 2)]
    assert lines[1]["result"]["structuredContent"]["id"] == 3


def test_ctrl_c_ends_it_while_it_waits_for_stdin(catalog: Path) -> None:
    command = [sys.executable, "-m", "recommender", "mcp", "--catalog", str(catalog)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_without_a_catalog_or_the_package_the_command_says_so(
    run: Run, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, printed, said = run("mcp", "--catalog", "none.db")
    assert (status, printed) == (1, "")
    assert "none.db" in said
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    monkeypatch.delitem(sys.modules, "recommender.mcp.server")
    status, _, said = run("mcp", "--catalog", catalog)
    assert status == 1
    assert said.endswith("is not installed: pip install 'soundalike[mcp]'\n")
