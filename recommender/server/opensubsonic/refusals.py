"""Why a request is refused, by the error codes of Subsonic; one table from our exceptions."""

from __future__ import annotations

from indexer import errors

GENERIC = 0
MISSING_PARAMETER = 10
WRONG_PASSWORD = 40
TOKENS_NOT_SUPPORTED = 41
CONFLICTING_LOGINS = 43
WRONG_API_KEY = 44
NOT_ALLOWED = 50
NOT_FOUND = 70

CODE_OF: dict[type[Exception], int] = {
    errors.UnknownTrack: NOT_FOUND,
    errors.AmbiguousTrack: NOT_FOUND,
    errors.CatalogForbidden: NOT_ALLOWED,
    errors.SoundalikeError: GENERIC,
}
"""Code of each exception, the nearest of its bases first."""


class Refused(Exception):
    """A request that is refused.

    Parameters
    ----------
    code : int
    message : str
        One sentence for a person, with the remedy.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def refusal_code(error: Exception) -> int | None:
    """The code that says why a question failed; None where that is an error of the server's."""
    if isinstance(error, Refused):
        return error.code
    return next((CODE_OF[kind] for kind in type(error).__mro__ if kind in CODE_OF), None)
