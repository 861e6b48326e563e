"""Ridge regression of many outputs, from sums over batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F


@dataclass
class Regression:
    """Ridge regression with an intercept, from sums over batches."""

    inputs: int
    outputs: int
    _square: torch.Tensor = field(init=False)
    _cross: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._square = torch.zeros(self.inputs + 1, self.inputs + 1, dtype=torch.float64)
        self._cross = torch.zeros(self.inputs + 1, self.outputs, dtype=torch.float64)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Rows of inputs (n, inputs) and wanted outputs (n, outputs)."""
        rows = F.pad(x, (0, 1), value=1.0).double()
        self._square += rows.T @ rows
        self._cross += rows.T @ y.double()

    def solve(self, *, ridge: float = 1e-3) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (outputs, inputs) and bias (outputs,).

        `ridge` is relative to an input's variance and the mean variance: inputs that hardly vary
        would be given enormous weights otherwise.
        """
        count = self._square[-1, -1]
        means = self._square[:-1, -1] / count
        covariance = self._square[:-1, :-1] / count - means[:, None] * means
        cross = self._cross[:-1] / count - means[:, None] * self._cross[-1] / count
        variance = covariance.diagonal()
        penalty = ridge * (variance + variance.mean())
        weight = torch.linalg.solve(covariance + torch.diag(penalty), cross).T
        bias = self._cross[-1] / count - weight @ means
        return weight.float(), bias.float()
