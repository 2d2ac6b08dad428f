"""What can be asked of credentials. A secret goes in, and never comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import Credential, PaginatedCredentialList, Trial, Use

Id = str | UUID


def find(*, provider: str | None = None) -> Call[PaginatedCredentialList]:
    """Find credentials, newest first."""
    return Call("GET", at("credentials"), params=given(provider=provider))


def add(
    *,
    name: str,
    provider: str,
    kind: str,
    secret: Mapping[str, Any],
    base_url: str | None = None,
    allowed_hosts: Sequence[str] | None = None,
) -> Call[Credential]:
    """Keep a credential, sealed."""
    body = given(
        name=name,
        provider=provider,
        kind=kind,
        secret=dict(secret),
        base_url=base_url,
        allowed_hosts=None if allowed_hosts is None else list(allowed_hosts),
    )
    return Call("POST", at("credentials"), json=body)


def test(credential: Id) -> Call[Trial]:
    """Ask its provider whether it is good."""
    return Call("POST", at("credentials", credential, "test"))


def used_by(credential: Id) -> Call[list[Use]]:
    """Say which nodes name it."""
    return Call("GET", at("credentials", credential, "used-by"))


def revoke(credential: Id) -> Call[Credential]:
    """Let nothing use it any more; it stays in the list."""
    return Call("POST", at("credentials", credential, "revoke"))


def delete(credential: Id) -> Call[None]:
    """Remove it."""
    return Call("DELETE", at("credentials", credential))
