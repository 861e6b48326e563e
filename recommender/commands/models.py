"""Commands for models: model fetch, model list."""

from __future__ import annotations

from pathlib import Path

import click

from recommender.commands.options import json_option
from recommender.commands.output import print_json, print_table, say


@click.group(epilog="Example: soundalike model fetch musicnn")
def model() -> None:
    """Bring models to this machine, and list them."""


@model.command(epilog="Example: soundalike model fetch musicnn")
@click.argument("name")
@click.option(
    "--from",
    "wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The published file, for machines without a network.",
)
def fetch(name: str, wheel: Path | None) -> None:
    """Bring a published model to this machine, checked against its SHA-256."""
    from indexer.model import fetch_model

    info = fetch_model(name, report=say, wheel=wheel)
    click.echo(f"{info.name} is ready ({info.dim} dimensions, {len(info.tag_names)} tags)")


@model.command("list", epilog="Example: soundalike model list --json")
@json_option
def list_models(as_json: bool) -> None:  # noqa: FBT001 - click hands flags over by name
    """List the models on this machine and those that can be fetched."""
    from indexer.model import FETCHABLE_MODELS, available_models

    here = available_models()
    missing = sorted(set(FETCHABLE_MODELS) - {info.name for info in here})
    if as_json:
        installed = [
            {
                "name": info.name,
                "dim": info.dim,
                "tags": len(info.tag_names),
                "fingerprint": info.fingerprint,
                "licence": info.licence.splitlines()[0],
                "path": str(info.path),
            }
            for info in here
        ]
        print_json({"installed": installed, "to_fetch": missing})
        return
    rows: list[tuple[object, ...]] = [
        (info.name, "installed", info.dim, len(info.tag_names), info.fingerprint[:12])
        for info in here
    ]
    rows += [(name, "to be fetched", "", "", "") for name in missing]
    print_table(("name", "state", "dimensions", "tags", "fingerprint"), rows)
