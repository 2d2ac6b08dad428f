"""What OAuth 2 says on the wire: where a person is sent, what a token endpoint is asked, and what its answer means. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from agentplatform.lib.foreign import quoted
from agentplatform.lib.http import Answer
from agentplatform.lib.http_errors import HttpBadAnswer
from integrations.oauth_errors import OAuthBusy, OAuthRefused

#: Statuses and errors after which nothing has happened.
LATER = frozenset({429, 503})
LATER_ERRORS = frozenset({"slow_down", "temporarily_unavailable"})
MAX_TOKEN_CHARACTERS = 16_000
#: What a token may be called that is sent as `Authorization: Bearer`; Slack names whom it belongs to.
BEARER_TYPES = frozenset({"", "bearer", "bot", "user"})
#: A provider that says nothing else may still name a life of its tokens that no date can hold.
MAX_LIFE_S = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Client:
    """The platform as the provider knows it, and where that is asked."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_url: str
    token_url: str
    scopes: Sequence[str] = ()
    scope_separator: str = " "
    extra: Mapping[str, str] = field(default_factory=dict)
    #: Some servers want the secret in a header, and not in the body.
    is_secret_in_header: bool = False

    def permission_url(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Return where a person is sent to allow what is asked."""
        return str(
            prepare_grant_uri(
                self.authorize_url,
                self.client_id,
                "code",
                redirect_uri=redirect_uri,
                state=state,
                scope=self.scope_separator.join(self.scopes) or None,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
                **self.extra,
            )
        )

    def exchange(self, *, code: str, redirect_uri: str, verifier: str) -> bytes:
        """Return the body that asks for tokens, once the person has allowed it."""
        return self._body("authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier)

    def refresh(self, refresh_token: str) -> bytes:
        """Return the body that asks for new tokens."""
        return self._body("refresh_token", refresh_token=refresh_token)

    def headers(self) -> dict[str, str]:
        """Return the headers that a question to the token endpoint needs."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self.is_secret_in_header:
            login = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(login.encode()).decode('ascii')}"
        return headers

    def _body(self, grant_type: str, **fields: str) -> bytes:
        if not self.is_secret_in_header:
            fields |= {"client_id": self.client_id, "client_secret": self.client_secret}
        return str(prepare_token_request(grant_type, **fields)).encode("ascii")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint has given."""

    access_token: str = field(repr=False)
    #: Empty: the one that was sent stays good.
    refresh_token: str = field(repr=False)
    #: None: it does not say, so the token is used until it is refused.
    expires_at: datetime | None


def tokens_of(answer: Answer, *, at: datetime) -> Tokens:
    """Return the tokens in the answer of a token endpoint.

    Raises:
        OAuthBusy: it has done nothing, and may do it later.
        OAuthRefused: it says that it will not.
        HttpBadAnswer: it says something else; what it has done is not known.
    """
    said = _said(answer)
    error = quoted(said.get("error") or "")
    if answer.status in LATER or error in LATER_ERRORS:
        raise OAuthBusy(f"The provider asks to come back later ({error or answer.status}).")
    if error or 400 <= answer.status < 500:
        told = quoted(said.get("error_description") or error or f"status {answer.status}")
        raise OAuthRefused(f"The provider refused: {told}")
    if not answer.is_success:
        raise HttpBadAnswer(f"The token endpoint answered {answer.status}.")
    access, refresh = said.get("access_token"), said.get("refresh_token") or ""
    kind = str(said.get("token_type") or "").lower()
    if not (_is_token(access) and (refresh == "" or _is_token(refresh)) and kind in BEARER_TYPES):
        raise HttpBadAnswer("The token endpoint answered something that holds no token.")
    return Tokens(str(access), str(refresh), _expiry(said.get("expires_in"), at))


def _said(answer: Answer) -> dict[str, Any]:
    try:
        said = answer.json()
    except HttpBadAnswer:
        if answer.is_success:
            raise HttpBadAnswer("The token endpoint answered something that is not JSON.") from None
        return {}
    return said if isinstance(said, dict) else {}


def _is_token(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TOKEN_CHARACTERS
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def _expiry(life: object, at: datetime) -> datetime | None:
    if isinstance(life, str) and life.isascii() and life.isdigit():
        life = int(life[:12])
    if not isinstance(life, int | float) or isinstance(life, bool) or not 0 < life < float("inf"):
        return None
    return at + timedelta(seconds=min(life, MAX_LIFE_S))
