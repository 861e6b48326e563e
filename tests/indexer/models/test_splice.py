from __future__ import annotations

import pytest
import torch

from indexer.models.splice import splice


def frames(windows: int, count: int) -> torch.Tensor:
    """Frames whose two bands are the numbers of the window and of the frame in it."""
    return torch.stack(
        torch.meshgrid(torch.arange(windows), torch.arange(count), indexing="ij"), dim=2
    ).float()


def test_windows_as_long_as_the_network_takes_stay_whole() -> None:
    windows = frames(5, 187)
    assert torch.equal(splice(windows, 187, at_most=5), windows)


@pytest.mark.parametrize(
    ("windows", "count", "length", "at_most", "pieces"),
    [
        (12, 300, 1000, 12, 3),
        (12, 300, 1000, 1, 1),
        (12, 187, 1813, 12, 1),
        (7, 187, 1000, 12, 1),
        (2, 9, 5, 12, 3),
        (2, 9, 5, 2, 2),
    ],
)
def test_every_window_gives_an_equal_share_from_its_middle(
    windows: int, count: int, length: int, at_most: int, pieces: int
) -> None:
    found = splice(frames(windows, count), length, at_most=at_most)
    assert found.shape == (pieces, length, 2)
    joined = found.reshape(-1, 2)
    shares = []
    for window in range(windows):
        share = joined[joined[:, 0] == window, 1]
        shares.append(len(share))
        first, last = int(share[0]), int(share[-1])
        assert torch.equal(share, torch.arange(first, last + 1).float())
        assert abs(first - (count - 1 - last)) <= 1
    assert max(shares) - min(shares) <= 1
    assert torch.equal(joined[:, 0], joined[:, 0].sort().values)


@pytest.mark.parametrize(("windows", "count", "length"), [(1, 187, 1813), (3, 300, 1000)])
def test_windows_too_short_for_one_piece_are_repeated(
    windows: int, count: int, length: int
) -> None:
    (piece,) = splice(frames(windows, count), length, at_most=12)
    joined = frames(windows, count).reshape(-1, 2)
    assert len(piece) == length
    assert torch.equal(piece[: len(joined)], joined)
    assert torch.equal(piece[len(joined) :], piece[: length - len(joined)])
