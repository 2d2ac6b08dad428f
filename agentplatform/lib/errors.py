"""The one base of every error a user may see: a stable code, an HTTP status, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class AppError(Exception):
    """An error with a stable `code`, the HTTP `status` a door answers with, and a `hint` for the user."""

    code: str = "ERROR"
    status: int = 400
    hint: str = ""
    #: What a program may want to know beside the code: numbers, by name.
    facts: Mapping[str, int] = MappingProxyType({})

    def __init__(self, message: str = "", *, hint: str | None = None, path: str = "") -> None:
        self.message = message or (self.__doc__ or "").strip().splitlines()[0]
        self.hint = self.hint if hint is None else hint
        self.path = path
        super().__init__(self.message)

    def as_dict(self) -> dict[str, str]:
        """Return the form doors send and rows store: code, message, hint, and the path of the field if there is one."""
        shown = {"code": self.code, "message": self.message, "hint": self.hint}
        return shown | {"path": self.path} if self.path else shown
