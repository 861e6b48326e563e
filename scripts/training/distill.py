"""A whole distillation: MusiCNN's ear, three teachers, and the network that comes of them.

Affine maps compose: from what the ear hears to the teachers' vectors (`training.head`), and from
there to the embedding (`training.metric`). So the result is one layer behind the ear.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import torch

from indexer.models.network import NetworkConfig, Soundalike, build_network
from training.features import heard_at_levels, heard_by, plain_network
from training.files import read_json, save_json
from training.head import Affine, fit_tags, fit_teachers, targets_of
from training.metric import HOLD, fit_metric

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.models.model import Model
    from training.prepare import Prepared

DIM = 192
"""Numbers in the embedding."""


def distill(
    musicnn: Model,
    prepared: Prepared,
    *,
    classes: list[int],
    folder: Path,
    report: Callable[[str], None],
    hold: float = HOLD,
) -> tuple[Soundalike, NetworkConfig]:
    """The network, and its configuration.

    Parameters
    ----------
    classes : list of int
        Which of AudioSet's classes follow MusiCNN's tags.
    folder : Path
        Gets what the ear hears in each piece, so that another run need not listen again.
    hold : float
        See `training.metric.fit_metric`.
    """
    ear = plain_network(musicnn)
    targets = targets_of(prepared, classes)
    heard = heard_by(ear, prepared, folder, report=report)
    report(f"solving for {len(heard)} half minutes")
    teachers = fit_teachers(heard, targets.vectors)
    originals = len(prepared.pieces())
    embedding = fit_metric(
        teachers(heard[:originals].mean(1, dtype="float32")),
        targets.tracks[:originals],
        dim=DIM,
        hold=hold,
        copies=teachers(heard_at_levels(ear, prepared)),
    )
    report("fitting tags")
    tags = fit_tags(heard, targets.tags)
    return assemble(musicnn, ear, compose(embedding, teachers), tags)


def compose(outer: Affine, inner: Affine) -> Affine:
    """The map that does `inner`, then `outer`."""
    return Affine(outer.weight @ inner.weight, outer.weight @ inner.bias + outer.bias)


def assemble(
    musicnn: Model, ear: torch.nn.Module, embedding: Affine, tags: Affine
) -> tuple[Soundalike, NetworkConfig]:
    """MusiCNN's ear with a head."""
    sizes = dict(musicnn.info.network.sizes)
    sizes |= {"dense": sizes["dim"], "dim": len(embedding.bias), "n_tags": len(tags.bias)}
    config = NetworkConfig("soundalike", sizes)
    network = cast("Soundalike", build_network(config)).eval().requires_grad_(requires_grad=False)
    weights = ear.state_dict()
    of_the_ear = {name: weights[name] for name in weights if not name.startswith("tags")}
    network.load_state_dict(network.state_dict() | of_the_ear)
    for layer, affine in ((network.embedding, embedding), (network.tags, tags)):
        layer.weight.copy_(torch.from_numpy(affine.weight))
        layer.bias.copy_(torch.from_numpy(affine.bias))
    return network, config


def save(network: Soundalike, config: NetworkConfig, run: Path) -> None:
    """Write the network to `network.pt` and `network.json` in the folder `run`."""
    torch.save(network.state_dict(), run / "network.pt")
    save_json(run / "network.json", asdict(config))


def open_saved(run: Path) -> tuple[Soundalike, NetworkConfig]:
    """What `save` has written."""
    config = NetworkConfig(**read_json(run / "network.json"))
    network = cast("Soundalike", build_network(config)).eval()
    network.load_state_dict(torch.load(run / "network.pt"))
    return network, config
