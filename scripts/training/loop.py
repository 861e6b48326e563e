"""The training loop: steps, a falling learning rate, checkpoints, and resuming after a kill."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

CHECKPOINT_S = 60.0
REPORT_S = 30.0


def relative_rates(
    parameters: Iterable[torch.nn.Parameter], *, rate: float, least: float = 3e-3
) -> list[dict[str, Any]]:
    """Adam's groups, each parameter at a rate in proportion to its size (root mean square).

    What begins with another network's weights has parameters of very different sizes: one rate for
    all would destroy the small ones or leave the large ones where they are.
    """
    groups = []
    for parameter in parameters:
        size = max(float(parameter.detach().square().mean().sqrt()), least)
        groups.append({"params": [parameter], "lr": rate * size})
    return groups


def train(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[int], torch.Tensor],
    *,
    steps: int,
    checkpoint: Path,
    report: Callable[[str], None],
    extra: dict[str, Any] | None = None,
    stop_after_s: float = math.inf,
) -> float:
    """Take `steps` steps, from the checkpoint on if there is one.

    Parameters
    ----------
    loss_of : callable
        Loss of the step with this number: all that is random in it comes from seed and number, so
        that a resumed run does what an uninterrupted one does.
    checkpoint : Path
        Holds network, optimizer, step, the losses so far and `extra`; written every minute
        and at the end.
    stop_after_s : float
        Seconds after which to store and return, to go on later.

    Returns
    -------
    float
        Mean loss since the last report.
    """
    begun = step = 0
    losses: list[float] = []
    rates = [group["lr"] for group in optimizer.param_groups]
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        rates = state["rates"]
        begun = step = state["step"]
        losses = state["losses"]
        report(f"resuming at step {begun} of {steps}")

    def store() -> None:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rates": rates,
            "step": step,
            "losses": losses,
        }
        unfinished = checkpoint.with_name(f".{checkpoint.name}")
        torch.save(state | (extra or {}), unfinished)
        unfinished.replace(checkpoint)

    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    start = stored = reported = time.monotonic()
    told = begun
    while step < steps:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule(step, steps)
        optimizer.zero_grad()
        loss = loss_of(step)
        # torch leaves backward untyped.
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        step += 1
        losses.append(loss.item())
        now = time.monotonic()
        if now - reported > REPORT_S:
            pace = (now - start) / (step - begun)
            loss_since = sum(losses[told:]) / (step - told)
            report(f"step {step} of {steps}, loss {loss_since:.4f}, {pace:.2f} s a step")
            told, reported = step, now
        if now - stored > CHECKPOINT_S:
            store()
            stored = now
        if now - start > stop_after_s:
            break
    store()
    recent = losses[told:] or losses[-1:]
    return sum(recent) / max(len(recent), 1)


def schedule(step: int, steps: int, *, warm_up: int = 10) -> float:
    """Share of the learning rate: rises over the first steps, then falls as a cosine to 1 %."""
    rising = min(1.0, (step + 1) / warm_up)
    return rising * (0.01 + 0.99 * (1 + math.cos(math.pi * step / max(steps, 1))) / 2)
