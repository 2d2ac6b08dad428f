"""Make, replace, revoke and recognise API keys."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Q

from access.errors import ApiKeyInvalid, ScopeMissing
from access.models import ApiKey
from access.scopes import OF_ONE_GRAPH, Scope
from agentplatform.lib import prepared
from agentplatform.lib.clock import now

BEGINNING = "ap_"
SHOWN = len(BEGINNING) + 6
#: So long the key before a new one stays good.
OVERLAP = timedelta(days=1)
#: Its last use is noted so often at most: noting costs a commit.
NOTED_EVERY = timedelta(minutes=1)
WHAT_IT_OPENS = ["name", "scopes", "graph_id", "networks", "expires_at"]
LESS = "A key gives to another what it has, or less; in the console you are not bound by it."
#: What `find_key.sql` returns, in the order of the models; what else somebody asks of them is read then.
KEY_FIELDS = (
    "id",
    "owner_id",
    "name",
    "prefix",
    "old_until",
    "scopes",
    "graph_id",
    "networks",
    "expires_at",
    "revoked_at",
    "last_used_at",
    "created_at",
)
OWNER_FIELDS = ("id", "is_superuser", "username", "is_staff", "is_active")


def issue(
    *,
    owner_id: int,
    name: str,
    scopes: Collection[str],
    graph_id: UUID | None = None,
    networks: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key, and its text, which nobody can read again.

    Raises:
        ApiKeyInvalid: a part of it can not be; `path` says which.
    """
    text = _new_text()
    key = ApiKey(owner_id=owner_id, prefix=text[:SHOWN], digest=_digest(text))
    update(key, name=name, scopes=scopes, graph_id=graph_id, networks=networks, expires_at=expires_at)
    return key, text


def update(
    key: ApiKey,
    *,
    name: str,
    scopes: Collection[str],
    graph_id: UUID | None = None,
    networks: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> ApiKey:
    """Say anew what a key opens. That the graph is its owner's is for whoever asks to see to.

    Raises:
        ApiKeyInvalid: a part of it can not be; `path` says which.
    """
    if unknown := sorted(set(scopes) - set(Scope)):
        raise ApiKeyInvalid(f"There is no scope {unknown[0]!r}.", path="scopes")
    if not scopes:
        raise ApiKeyInvalid("A key without a scope opens nothing.", path="scopes")
    if graph_id and (others := sorted(set(scopes) - OF_ONE_GRAPH)):
        raise ApiKeyInvalid(f"A key for one graph can not have {others[0]}.", path="scopes")
    if expires_at and expires_at <= now():
        raise ApiKeyInvalid("It would have expired already.", path="expires_at")
    key.name, key.scopes, key.graph_id, key.expires_at = name, sorted(set(scopes)), graph_id, expires_at
    key.networks = [_network(text) for text in networks]
    # Nothing else: whoever revokes or rotates it at the same moment has done so.
    key.save(force_insert=True) if key._state.adding else key.save(update_fields=WHAT_IT_OPENS)
    return key


def refuse_more(
    asking: ApiKey, *, scopes: Collection[str], networks: Sequence[str], expires_at: datetime | None
) -> None:
    """See to it that a key gives another nothing that it does not have itself: no scope, no network and no day more.

    Raises:
        ScopeMissing: it has not the scope.
        ApiKeyInvalid: the other could be used from elsewhere, or for longer.
    """
    if more := sorted(set(scopes) - set(asking.scopes)):
        raise ScopeMissing(f"This key has not the scope {more[0]} to give.")
    wider = [text for text in networks if not _is_inside(_network(text), asking.networks)]
    if asking.networks and (wider or not networks):
        raise ApiKeyInvalid("This key may not be used from there itself.", path="networks", hint=LESS)
    if asking.expires_at and (expires_at is None or expires_at > asking.expires_at):
        raise ApiKeyInvalid("This key itself ends earlier.", path="expires_at", hint=LESS)


def rotate(key: ApiKey) -> str:
    """Return a new text for a key. The one before stays good for a day; one before that is gone.

    Raises:
        ApiKeyInvalid: it was revoked.
    """
    if key.revoked_at:
        raise ApiKeyInvalid("It was revoked.", hint="Make a new one.")
    text = _new_text()
    key.old_digest, key.old_until = key.digest, now() + OVERLAP
    key.prefix, key.digest = text[:SHOWN], _digest(text)
    key.save(update_fields=["prefix", "digest", "old_digest", "old_until"])
    return text


def revoke(key: ApiKey) -> ApiKey:
    """Let a key open nothing any more, from now on."""
    ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=now(), old_digest="", old_until=None)
    key.refresh_from_db()
    return key


def find(text: str, *, address: str) -> ApiKey | None:
    """Return the good key of this text, used from this address; None if there is none."""
    key = _good_key(_digest(text))
    if key is None or not is_usable_from(key, address):
        return None
    if key.last_used_at is None or key.last_used_at < now() - NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now())
    return key


def good_keys(digests: Collection[str]) -> dict[str, ApiKey]:
    """Return the good keys of the texts with these digests, by digest."""
    if not digests:
        return {}
    is_old = Q(old_digest__in=digests, old_until__gt=now()) & ~Q(old_digest="")
    found: dict[str, ApiKey] = {}
    for key in ApiKey.objects.good().filter(Q(digest__in=digests) | is_old):
        found |= {key.digest: key} | ({key.old_digest: key} if key.old_until and key.old_until > now() else {})
    return found


def is_usable_from(key: ApiKey, address: str) -> bool:
    """Say whether a key may be used from this address."""
    return _is_within(address, key.networks)


def _good_key(digest: str) -> ApiKey | None:
    """Return it with its owner. Each request asks for it: so the statement is written once, and not by the ORM for each."""
    with prepared.cursor() as cursor:
        cursor.execute(_find_key(), {"digest": digest, "now": now()}, prepare=True)
        row = cursor.fetchone()
    if row is None:
        return None
    key: ApiKey = ApiKey.from_db(connection.alias, KEY_FIELDS, row[: len(KEY_FIELDS)])
    key.found_by = digest
    key.owner = get_user_model().from_db(connection.alias, OWNER_FIELDS, row[len(KEY_FIELDS) :])
    return key


@cache
def _find_key() -> bytes:
    return prepared.read(Path(__file__).parent / "sql" / "find_key.sql")


def _new_text() -> str:
    return BEGINNING + secrets.token_urlsafe(32)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip()))
    except ValueError:
        raise ApiKeyInvalid(
            f"{text[:60]!r} is no network.", path="networks", hint="Write it as 203.0.113.0/24."
        ) from None


def _is_inside(text: str, networks: Sequence[str]) -> bool:
    inner = ip_network(text)
    return any(
        inner.subnet_of(outer)  # type: ignore[arg-type]  # of one version
        for outer in map(ip_network, networks)
        if outer.version == inner.version
    )


def _is_within(address: str, networks: Sequence[str]) -> bool:
    if not networks:
        return True
    try:
        ours = ip_address(address)
    except ValueError:
        return False
    return any(ours in ip_network(network) for network in networks)
