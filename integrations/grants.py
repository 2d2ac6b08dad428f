"""The tokens of OAuth 2 as they are stored: who may show a refresh token, and what becomes of the answer. Nothing is asked here.

Each function is one short transaction. What makes a refresh happen once is the row: whoever sets `refreshing_until` shows the token, and
stores what comes only if nobody has stored anything since (`generation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from agentplatform.lib import http
from agentplatform.lib.clock import now
from agentplatform.lib.credential_hosts import hosts_of
from agentplatform.lib.crypto import Sealed
from agentplatform.lib.foreign import quoted
from agentplatform.lib.masking import Mask
from integrations import masks, providers
from integrations.models import Credential, Grant
from integrations.oauth_errors import CredentialNotConnected, CredentialRefreshFailed, OAuthNotPossible
from integrations.oauth_wire import Client, Tokens
from integrations.providers import AuthKind

#: A token that ends within this is replaced before it is used.
AHEAD = timedelta(seconds=60)
#: So long one worker may take for a refresh; after that nobody knows what became of it.
LEASE = timedelta(seconds=60)
LOST = "The provider's answer was lost, so it may have replaced the refresh token."


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to show a refresh token, once."""

    credential_id: UUID
    client: Client
    refresh_token: str = field(repr=False)
    generation: int
    #: It is known that the provider leaves refresh tokens as they are.
    may_be_shown_again: bool


def client_of(credential: Credential) -> Client:
    """Return the platform as the provider of a credential knows it.

    Raises:
        OAuthNotPossible: it is of another kind, has no client, or an address that may not be asked.
    """
    if credential.kind != AuthKind.OAUTH2 or credential.revoked_at:
        raise OAuthNotPossible
    secret: Mapping[str, Any] = credential.secret.reveal()
    known = providers.get(credential.provider).oauth
    authorize_url = str(secret.get("authorize_url") or (known.authorize_url if known else ""))
    token_url = str(secret.get("token_url") or (known.token_url if known else ""))
    if not (
        secret.get("client_id") and secret.get("client_secret") and _is_safe(authorize_url) and _is_safe(token_url)
    ):
        raise OAuthNotPossible
    scopes = str(secret.get("scopes") or "").split()
    return Client(
        client_id=secret["client_id"],
        client_secret=secret["client_secret"],
        authorize_url=authorize_url,
        token_url=token_url,
        scopes=scopes or (known.scopes if known else ()),
        scope_separator=known.scope_separator if known else " ",
        extra=known.extra if known else {},
    )


def connect(credential_id: UUID, tokens: Tokens) -> None:
    """Store what somebody has allowed. Whatever was there before, or is being asked for, counts no more.

    Raises:
        OAuthNotPossible: the credential was revoked or removed while the provider was asked.
    """
    with transaction.atomic():
        there = Credential.objects.select_for_update().filter(pk=credential_id, revoked_at__isnull=True)
        if not there.values_list("pk").first():
            raise OAuthNotPossible("The credential was revoked or removed meanwhile.")
        before = Grant.objects.filter(credential_id=credential_id).first()
        fields: dict[str, Any] = {
            "tokens": _sealed(tokens.access_token, tokens.refresh_token),
            "expires_at": tokens.expires_at,
            "fresh_until": _fresh_until(tokens),
            "generation": before.generation + 1 if before else 1,
            "is_rotating": None,
            "refreshing_until": None,
            "failure": "",
            "connected_at": now(),
        }
        Grant.objects.update_or_create(credential_id=credential_id, defaults=fields)
    masks.forget()


def look(credential_id: UUID) -> str | Turn | None:
    """Return the access token, if it is fresh; else the turn to get a new one; or None while somebody else has that.

    Raises:
        CredentialNotConnected: nobody has allowed anything.
        CredentialRefreshFailed: no new token can be had, and the old one has ended.
    """
    with transaction.atomic():
        grant: Any = (
            Grant.objects.select_for_update(of=("self",))
            .select_related("credential")
            .annotate(at=Now())
            .filter(credential_id=credential_id, credential__revoked_at__isnull=True)
            .first()
        )
        if grant is None:
            raise CredentialNotConnected
        tokens = grant.tokens.reveal()
        if grant.is_fresh(grant.at):
            return str(tokens["access_token"])
        if _is_lost(grant):
            grant.failure, grant.refreshing_until = LOST, None
            grant.save(update_fields=["failure", "refreshing_until"])
        failure = grant.failure or ("" if tokens["refresh_token"] else "There is nothing to get a new token with.")
        if not failure and grant.refreshing_until and grant.refreshing_until > grant.at:
            return None
        if not failure:
            return _turn(grant)
    # After the transaction, which has kept why.
    if grant.is_good(grant.at):
        return str(tokens["access_token"])
    raise CredentialRefreshFailed(failure)


def still_good(credential_id: UUID) -> str:
    """Return the access token there is; nothing if it has ended."""
    grant: Any = Grant.objects.annotate(at=Now()).filter(credential_id=credential_id).first()
    return str(grant.tokens.reveal()["access_token"]) if grant and grant.is_good(grant.at) else ""


def store(turn: Turn, tokens: Tokens) -> bool:
    """Keep what came for a turn, however late. Return False if somebody has stored something newer since: then that counts."""
    kept = tokens.refresh_token or turn.refresh_token
    stored = _of(turn).update(
        tokens=_sealed(tokens.access_token, kept),
        expires_at=tokens.expires_at,
        fresh_until=_fresh_until(tokens),
        generation=turn.generation + 1,
        is_rotating=kept != turn.refresh_token,
        refreshing_until=None,
        failure="",
    )
    masks.forget()
    return bool(stored)


def give_back(turn: Turn) -> None:
    """Let the next one show the refresh token: the provider has not used it up."""
    _of(turn).update(refreshing_until=None)


def fail(turn: Turn, reason: str) -> None:
    """Mark that no new token can be had. It has to be connected again."""
    mask = Mask([turn.refresh_token, turn.client.client_secret])
    _of(turn).update(refreshing_until=None, failure=quoted(mask.text(reason), limit=300))


def _turn(grant: Grant) -> Turn:
    Grant.objects.filter(pk=grant.pk).update(refreshing_until=Now() + LEASE)
    return Turn(
        credential_id=grant.credential_id,
        client=client_of(grant.credential),
        refresh_token=grant.tokens.reveal()["refresh_token"],
        generation=grant.generation,
        may_be_shown_again=grant.is_rotating is False,
    )


def _of(turn: Turn) -> Any:
    return Grant.objects.filter(credential_id=turn.credential_id, generation=turn.generation)


def _fresh_until(tokens: Tokens) -> datetime | None:
    """Return until when a token is used without another being got: also one that ends soon is used for half of its life."""
    if tokens.expires_at is None:
        return None
    return tokens.expires_at - min(AHEAD, (tokens.expires_at - now()) / 2)


def _is_lost(grant: Any) -> bool:
    """Say whether a worker was lost while it showed a refresh token that the provider may have replaced."""
    is_over = grant.refreshing_until is not None and grant.refreshing_until <= grant.at
    return is_over and grant.is_rotating is not False


def _is_safe(url: str) -> bool:
    """Say whether a secret may be sent to an address: over https, or to a private place that the operator has allowed."""
    (place,) = hosts_of(url) or ("",)
    host, _, port = place.rpartition(":")
    is_allowed = bool(host) and port.isdigit() and (host.strip("[]"), int(port)) in http.allowed()
    return bool(place) and (url.lower().startswith("https://") or is_allowed)


def _sealed(access_token: str, refresh_token: str) -> Sealed:
    return Sealed({"access_token": access_token, "refresh_token": refresh_token})
