"""The platform's side of one firing: what a running block may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from blocks.sdk import BlockError, Credentials, Usage
from blocks.sdk.waiting import Suspended, WaitFor
from executions.batch import NO_CHILDREN, ChildCosts
from executions.begun import Begun

READABLE_SETTINGS = frozenset({"OPENAI_MODEL"})


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """An opened credential."""

    api_key: str = field(repr=False)
    base_url: str


@dataclass(slots=True)
class FiringContext:
    """Fulfils `blocks.sdk.BlockContext` for one attempt of one firing."""

    begun: Begun
    usage: Usage = field(default_factory=Usage)
    children: ChildCosts = NO_CHILDREN

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of this firing."""
        return self.begun.idempotency_key

    async def wait(self, wait: WaitFor) -> Any:
        """Return what came for this wait, or suspend the firing until it comes.

        Raises:
            BlockError: the block only computes, so its firings are not known to anybody before they end.
        """
        if wait.call_key in self.begun.answers:
            return self.begun.answers[wait.call_key]
        if self.begun.claim is None:
            raise BlockError(
                f"The block {self.begun.node.block_id} waits, but says that it only computes.",
                code="INLINE_BLOCK_WAITS",
                hint="Declare placement = Placement.IO.",
            )
        raise Suspended(wait)

    async def get_credentials(self, provider: str) -> Credentials:
        """Return the platform's own key for `provider`.

        Raises:
            BlockError: none is set (`CREDENTIAL_MISSING`).
        """
        name = str(provider).upper()
        key = ProviderKey(getattr(settings, f"{name}_API_KEY", ""), getattr(settings, f"{name}_BASE_URL", ""))
        if not key.api_key and not key.base_url:
            raise BlockError(
                f"There is no credential for {provider}.",
                code="CREDENTIAL_MISSING",
                hint=f"Set {name}_API_KEY, and {name}_BASE_URL for a server of your own.",
            )
        return key

    def setting(self, name: str) -> Any:
        """Return a setting that blocks may read, or None."""
        return getattr(settings, name, None) if name in READABLE_SETTINGS else None
