"""What a running block may ask of the platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol
from uuid import UUID

from blocks.sdk.files import FileContent, FileRef, NewFile
from blocks.sdk.sub_graph import SubGraph
from blocks.sdk.usage import Usage
from blocks.sdk.waiting import WaitFor
from integrations.ratelimit import RateLimiter


class Credentials(Protocol):
    """The opened credential of a provider, as a block sees it. What its kind does not have is empty."""

    @property
    def kind(self) -> str:
        """Return how it proves who asks: `api_key`, `user_password`, `oauth2` or `host_headers`."""
        ...

    @property
    def api_key(self) -> str:
        """Return the secret itself."""
        ...

    @property
    def username(self) -> str:
        """Return the name that goes with the password."""
        ...

    @property
    def password(self) -> str:
        """Return the password."""
        ...

    @property
    def access_token(self) -> str:
        """Return the token that somebody's permission was exchanged for; it has not expired."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers that it consists of."""
        ...

    @property
    def allowed_hosts(self) -> Sequence[str]:
        """Return where it may be sent, as `host` or `host:port`; see `agentplatform.lib.http.check_hosts`."""
        ...

    @property
    def base_url(self) -> str:
        """Return where the provider is reached, or nothing for its usual address."""
        ...

    @property
    def rate_limiter(self) -> RateLimiter | None:
        """Return the limit that all share who ask with it; None without one. `self.in_turn(credentials)` keeps to it."""
        ...


class BlockContext(Protocol):
    """The platform's side of one firing."""

    usage: Usage

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of this firing: hand it to whoever can deduplicate."""
        ...

    async def wait(self, wait: WaitFor) -> Any:
        """Return what came for this wait, or suspend the firing until it comes.

        Raises:
            BlockError: the block can not be suspended.
        """
        ...

    def came_for(self, call_key: str) -> Any:
        """Return what came for a wait of this firing, or None where nothing has come or nobody has waited."""
        ...

    async def get_credentials(self, provider: str) -> Credentials:
        """Return the credential to use for `provider`.

        Raises:
            BlockError: there is none (code `CREDENTIAL_MISSING`).
        """
        ...

    async def execute_subgraph(self, call: SubGraph) -> dict[str, Any]:
        """Return the outputs of a sub-graph once it has ended, or suspend the firing while that waits.

        Raises:
            BlockError: it failed or could not be started.
        """
        ...

    async def read_file(self, file_id: UUID, *, max_bytes: int | None) -> FileContent:
        """Return what is in a file of the owner's.

        Raises:
            AppError: it is not there (code `FILE_GONE`), or too large (`FILE_TOO_LARGE`).
        """
        ...

    async def write_file(self, new: NewFile) -> FileRef:
        """Keep a file, and return what refers to it.

        Raises:
            AppError: it is too large (`FILE_TOO_LARGE`, `FILE_QUOTA_EXCEEDED`).
        """
        ...

    def shown(self) -> AbstractContextManager[Callable[[str], None]]:
        """Yield what takes a text piece by piece, to show it to whoever watches while it is made. It is stored nowhere."""
        ...

    def setting(self, name: str) -> Any:
        """Return a platform setting that blocks may read, e.g. `OPENAI_MODEL`, or None."""
        ...
