"""One server over one planted library for a file of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recommender.server.opensubsonic.library import rest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recommender.server.opensubsonic.library import Rest


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with rest_of(tmp_path_factory.mktemp("rest")) as found:
        yield found
