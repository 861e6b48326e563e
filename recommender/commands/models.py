"""Commands for models: `model import`, `model list`."""

from __future__ import annotations

from pathlib import Path

import click

from recommender.commands.options.shared import json_option
from recommender.commands.terminal.output import print_json, print_message, printable
from recommender.commands.terminal.tables import print_table


@click.group(epilog="Example: soundalike model list")
def model() -> None:
    """Import and list models."""


@model.command("import", epilog="Example: soundalike model import runs/my-genres.safetensors")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name for the model. [default: the one in the file]")
def import_file(file: Path, name: str | None) -> None:
    """Import FILE, a model (.safetensors) that scripts/train.py wrote, into the model folder."""
    from indexer.models.registry import import_model

    info = import_model(file, report=print_message, name=name)
    shown = printable(info.name)
    click.echo(f"{shown} is ready ({info.dim} dimensions, {len(info.tag_names)} tags)")


@model.command("list", epilog="Example: soundalike model list --json")
@json_option
def list_models(as_json: bool) -> None:  # noqa: FBT001 - click hands flags over by name
    """List the models on this machine.

    A file in the model folder that has the name of a shipped model is not used.
    """
    from indexer.models.registry import available_models, origin, shadowed_models

    here = available_models()
    for path in shadowed_models():
        print_message(f"{path} is not used: a model shipped with soundalike has its name")
    if as_json:
        installed = [
            {
                "name": info.name,
                "origin": origin(info),
                "dim": info.dim,
                "tags": len(info.tag_names),
                "fingerprint": info.fingerprint,
                "licence": info.licence.splitlines()[0],
                "path": str(info.path),
            }
            for info in here
        ]
        print_json({"installed": installed})
        return
    print_table(
        ("name", "origin", "dimensions", "tags", "fingerprint"),
        [
            (info.name, origin(info), info.dim, len(info.tag_names), info.fingerprint[:12])
            for info in here
        ],
    )
