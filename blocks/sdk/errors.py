"""What a block raises when it can not do its work."""

from __future__ import annotations

from typing import Any

from agentplatform.lib.errors import AppError


class BlockError(AppError):
    """The block could not do its work."""

    code = "BLOCK_ERROR"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str | None = None,
        retry_after_s: float | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message, hint=hint, **extra)
        self.code = code or self.code
        #: So long the other side asked to be left alone.
        self.retry_after_s = retry_after_s
