"""What can go wrong on the local machine, said in words a newcomer can act on."""

from __future__ import annotations


class LocalError(Exception):
    """Something on this machine keeps a local server from starting."""


class ServiceFailed(LocalError):
    """A service died or did not become ready."""

    def __init__(self, name: str, reason: str, tail: str) -> None:
        super().__init__(f"{name} {reason}. The end of its log:\n{tail or '(nothing)'}")
        self.name = name
