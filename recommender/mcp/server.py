"""A server of the Model Context Protocol over a catalog."""

from __future__ import annotations

from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations
from pydantic import create_model

from indexer.errors import AmbiguousTrack, SoundalikeError
from recommender.mcp.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.engine import Recommender

INSTRUCTIONS = (
    "A catalog of the user's own music that knows how each track sounds. `search` finds tracks by "
    "name and `words` by description; their ids name tracks to `similar`, `station`, `path` and "
    "`show`. Nothing is played or changed."
)
TITLES = {
    "search": "Tracks by name",
    "similar": "What sounds like this",
    "words": "Tracks by description",
    "station": "Station around a track",
    "path": "Path between two tracks",
    "show": "One track",
}


def make_server(recommender: Recommender) -> MCPServer[Any]:
    """The server whose tools ask a recommender, which stays the caller's to close."""
    tools = Tools(recommender)
    return MCPServer(
        "soundalike",
        title="soundalike",
        instructions=INSTRUCTIONS,
        version=version("soundalike"),
        log_level="ERROR",
        subscriptions=False,
        tools=[_tool(getattr(tools, name), title) for name, title in TITLES.items()],
    )


def _tool(function: Callable[..., Any], title: str) -> Tool:
    """A tool that refuses arguments which it does not have, as an answer would be another one."""
    tool = Tool.from_function(
        _with_our_sentences(function),
        title=title,
        annotations=ToolAnnotations(
            read_only_hint=True, idempotent_hint=True, open_world_hint=False
        ),
    )
    known = tool.fn_metadata.arg_model
    strict = create_model(known.__name__, __base__=known, __cls_kwargs__={"extra": "forbid"})
    tool.fn_metadata.arg_model = strict
    tool.parameters = strict.model_json_schema(by_alias=True)
    return tool


def _with_our_sentences(tool: Callable[..., Any]) -> Callable[..., Any]:
    """A tool whose errors reach the assistant as our sentences; those of other kinds do not."""

    @wraps(tool)
    def ask(**arguments: Any) -> Any:
        try:
            return tool(**arguments)
        except AmbiguousTrack as error:
            raise ToolError("\n".join((str(error), *error.candidates))) from error
        except SoundalikeError as error:
            raise ToolError(str(error)) from error

    return ask
