from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.errors import ModelError
from indexer.model import fetch_model, load_model, model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def musicnn_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model folder with musicnn in it: the user's own, else one filled through pip.

    `SOUNDALIKE_MODELS` names it for the session, so that processes started by tests find it too.
    """
    folder = model_folder()
    with pytest.MonkeyPatch.context() as patch:
        try:
            load_model("musicnn")
        except ModelError:
            folder = tmp_path_factory.mktemp("models")
            patch.setenv("SOUNDALIKE_MODELS", str(folder))
            fetch_model("musicnn", report=print)
        patch.setenv("SOUNDALIKE_MODELS", str(folder))
        yield folder
