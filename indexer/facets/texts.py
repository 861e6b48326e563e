"""Many distinct texts in order, as two arrays: found by bisection, none of them a Python object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray


class Texts:
    """Texts by number.

    Parameters
    ----------
    content : uint8
        UTF-8, one after the other.
    ends : int64 (n,)
        Where each ends.
    """

    def __init__(self, content: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.content = content
        self.ends = ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """These texts in this order."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(one) for one in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> str:
        return self._bytes(number).decode()

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))

    def insertion(self, text: str) -> tuple[int, bool]:
        """Where a text is, or would be, among ascending ones, and whether it is there."""
        wanted = text.encode()
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._bytes(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low, low < len(self) and self._bytes(low) == wanted

    def _bytes(self, number: int) -> bytes:
        start = self.ends[number - 1] if number else 0
        return self.content[start : self.ends[number]].tobytes()
