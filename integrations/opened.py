"""A credential as a block is handed it: open, in memory, for one firing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from integrations.ratelimit import RateLimiter


@dataclass(frozen=True, slots=True)
class OpenCredential:
    """What a provider is asked with. What its kind does not have is empty."""

    provider: str
    kind: str = "api_key"
    #: None: the platform's own, from its environment.
    id: UUID | None = None
    api_key: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_url: str = ""
    #: Its token ends soon: another has to be got before it is used.
    is_stale: bool = False
    #: Where it may be sent, as `host` or `host:port`.
    allowed_hosts: tuple[str, ...] = ()
    #: What all who use it may ask together. None is no limit.
    max_concurrent: int | None = None
    rate_per_second: float | None = None

    @property
    def rate_limiter(self) -> RateLimiter | None:
        """Return what all workers share who ask with it; None: nothing limits them."""
        if self.max_concurrent is None and self.rate_per_second is None:
            return None
        key = f"provider:{self.provider}:{self.id or 'platform'}"
        return RateLimiter(self.max_concurrent, self.rate_per_second, key=key)

    @property
    def is_own(self) -> bool:
        """Say whether it is its owner's, who pays for what it is used for, and not the platform's."""
        return self.id is not None

    @property
    def token(self) -> str:
        """Return what is sent as a bearer."""
        return self.access_token or self.api_key

    def secrets(self) -> Iterator[str]:
        """Yield every secret text in it."""
        for text in (self.api_key, self.password, self.access_token, *self.headers.values()):
            if text:
                yield text
                # `Bearer abc`: also the key alone.
                yield from text.split()
