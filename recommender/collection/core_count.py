"""The count of cores that scikit-learn asks joblib for."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stderr


def count_cores() -> None:
    """Let joblib count physical cores without what it prints where a machine does not show them.

    joblib counts once a process and warns then, as where /sys is not mounted. To be called before
    estimators of scikit-learn that start threads.
    """
    import joblib

    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore", UserWarning)
        joblib.cpu_count(only_physical_cores=True)
