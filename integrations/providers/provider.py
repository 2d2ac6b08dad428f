"""What the platform knows of a provider: one frozen description each, free of Django so that blocks may use it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from agentplatform.lib.credential_hosts import hosts_of


class AuthKind(StrEnum):
    """How a credential proves who asks."""

    API_KEY = "api_key"
    USER_PASSWORD = "user_password"  # noqa: S105 - the name of a kind
    OAUTH2 = "oauth2"
    HOST_HEADERS = "host_headers"


@dataclass(frozen=True, slots=True)
class OAuthEndpoints:
    """Where somebody allows the platform to act for him, and where the tokens for it are got."""

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...] = ()
    #: What the provider calls the list of scopes, and how it separates them.
    scope_separator: str = " "
    #: What the provider wants beside the standard's own parameters.
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TestRequest:
    """A harmless question that only a good credential gets an answer to."""

    __test__ = False  # not for pytest

    method: str
    path: str
    #: For a provider that answers 200 to everything: the key of its JSON that says whether it was content.
    ok_key: str = ""


class Secrets(Protocol):
    """What of an opened credential is sent."""

    @property
    def kind(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def access_token(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Provider:
    """A service the platform can talk to."""

    #: As blocks and credentials write it.
    name: str
    title: str
    kinds: tuple[AuthKind, ...]
    #: Where it is asked if a credential does not say; empty: each credential says where its operator runs it.
    base_url: str = ""
    #: Where its credentials may be sent if neither they nor their address say otherwise, as `host` or `host:port`.
    hosts: tuple[str, ...] = ()
    #: How an API key is sent: the header, and what stands in it.
    key_header: str = "Authorization"
    key_format: str = "Bearer {key}"
    #: Headers that each request to it needs.
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    oauth: OAuthEndpoints | None = None
    #: How it signs its webhooks; empty: it sends none.
    signature_scheme: str = ""
    #: Under which name the price tables list its models; empty: what it is asked costs the platform nothing.
    price_table: str = ""
    test_request: TestRequest | None = None
    #: How much of each of its credentials may be in use at once, and how often a second it may be asked, by all workers together, where
    #: the credential says nothing of it. None is no limit.
    max_concurrent: int | None = None
    rate_per_second: float | None = None

    def hosts_for(self, base_url: str) -> tuple[str, ...]:
        """Return where a credential may be sent that says nothing of it: to its own address, else to the provider's hosts."""
        return hosts_of(base_url) if base_url else self.hosts

    def headers_for(self, credential: Secrets) -> dict[str, str]:
        """Return the headers that carry `credential` to this provider."""
        match credential.kind:
            case AuthKind.USER_PASSWORD:
                login = b64encode(f"{credential.username}:{credential.password}".encode()).decode()
                sent = {"Authorization": f"Basic {login}"}
            case AuthKind.OAUTH2:
                sent = {"Authorization": f"Bearer {credential.access_token}"}
            case AuthKind.HOST_HEADERS:
                sent = dict(credential.headers)
            case _ if credential.api_key:
                sent = {self.key_header: self.key_format.format(key=credential.api_key)}
            case _:
                sent = {}
        return {**self.extra_headers, **sent}
