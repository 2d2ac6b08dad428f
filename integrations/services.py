"""What the doors may ask of credentials, and how a firing gets one: opened for it alone, and kept open for a few seconds."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from threading import Lock
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from agentplatform.lib import http
from agentplatform.lib.clock import now
from agentplatform.lib.credential_hosts import hosts_of, is_entry
from agentplatform.lib.crypto import Sealed
from agentplatform.lib.errors import AppError
from agentplatform.lib.http_errors import HeaderForbidden
from agentplatform.lib.masking import Mask
from integrations import masks, providers
from integrations.errors import CredentialExpired, CredentialInvalid, CredentialMissing, CredentialNotFound
from integrations.models import HIGHEST_RATE, LOWEST_RATE, MOST_CONCURRENT, Credential, Grant
from integrations.oauth_errors import CredentialNotConnected
from integrations.opened import OpenCredential
from integrations.providers import AuthKind, ProviderUnknown

#: So long a credential stays open in the memory of a worker: a revoked one is used no longer than that.
OPEN_S = 5.0
MOST_OPEN = 1_000
#: What each kind of credential consists of; a secret has to have the parts in the first set, and may have those in the second.
PARTS: Mapping[AuthKind, tuple[frozenset[str], frozenset[str]]] = {
    AuthKind.API_KEY: (frozenset({"api_key"}), frozenset()),
    AuthKind.USER_PASSWORD: (frozenset({"username", "password"}), frozenset()),
    AuthKind.OAUTH2: (
        frozenset({"client_id", "client_secret"}),
        frozenset({"authorize_url", "token_url", "scopes"}),
    ),
    AuthKind.HOST_HEADERS: (frozenset({"headers"}), frozenset()),
}
LONGEST_SECRET = 16_000
MOST_HOSTS = 20
SHORTEST_SHOWN = 12

#: A provider, and the credential that is named for it, if one is.
Wanted = tuple[str, UUID | None]

_open: dict[tuple[int, str, UUID | None], tuple[float, OpenCredential]] = {}
#: When a credential was last seen to be there, by owner, provider and id.
_there: dict[tuple[int, str, UUID | None], float] = {}
_lock = Lock()


def add(*, owner_id: int, provider: str, kind: str, secret: Mapping[str, Any], **fields: Any) -> Credential:
    """Keep a new credential.

    Raises:
        CredentialInvalid: a part of it is missing or is not what it should be; `path` says which.
        KeysMissing: nothing can be kept secret here.
    """
    credential = Credential(owner_id=owner_id, provider=provider, kind=kind, **fields)
    _check(credential)
    _seal(credential, secret)
    credential.save()
    forget()
    return credential


def update(credential: Credential, *, secret: Mapping[str, Any] | None = None, **fields: Any) -> Credential:
    """Change a credential; without a secret it keeps the one it has.

    Raises:
        CredentialInvalid: as for a new one; or it would be sent elsewhere, and whoever asks for that does not show that they know it.
    """
    with transaction.atomic():
        # As it is now: two changes that are harmless each must not make one that is not, nor undo that it was revoked.
        credential = Credential.objects.select_for_update().get(pk=credential.pk)
        _change(credential, secret, fields)
    forget()
    return credential


def _change(credential: Credential, secret: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> None:
    before = hosts_for(credential)
    for name, value in fields.items():
        setattr(credential, name, value)
    _check(credential)
    if secret is None and not before.issuperset(hosts_for(credential)):
        raise CredentialInvalid(
            "To be sent to another host, its secret has to be written anew.",
            path="secret",
            hint="Else whoever may change it could have it sent to themselves.",
        )
    if secret is not None:
        _seal(credential, secret)
        credential.revoked_at = None
        if "expires_at" not in fields and credential.is_expired:
            credential.expires_at = None
    credential.save()


def remove(credential: Credential) -> None:
    """Forget a credential. Nodes that name it can not run until they name another."""
    credential.delete()
    forget()


def hosts_for(credential: Credential) -> frozenset[str]:
    """Return where a credential may be sent."""
    provider = providers.get(credential.provider)
    return frozenset(credential.allowed_hosts) or frozenset(provider.hosts_for(credential.base_url))


def revoke(credential: Credential) -> Credential:
    """Use a credential no more, from now on within seconds; its secret is destroyed."""
    credential.secret = Sealed({})
    credential.revoked_at = credential.revoked_at or now()
    # Together, and the credential first: whoever is just connecting it holds that lock until its tokens are there, and deleted here.
    with transaction.atomic():
        credential.save(update_fields=["secret", "revoked_at"])
        Grant.objects.filter(credential=credential).delete()
    forget()
    return credential


def find(credential_id: UUID, *, user_id: int) -> Credential:
    """Return a credential that a user's graphs may use.

    Raises:
        CredentialNotFound: there is none of that id, or it is somebody else's: nobody can tell.
    """
    credential = Credential.objects.usable_by(user_id).filter(pk=credential_id).first()
    if credential is None:
        raise CredentialNotFound(f"There is no credential {credential_id}.")
    return credential


def open_credential(*, owner_id: int, provider: str, credential_id: UUID | None = None) -> OpenCredential:
    """Return what a firing asks a provider with: the credential its node names, else the newest of its owner, else one that is shared with
    them, else the platform's own.

    Raises:
        CredentialNotFound: the node names one that is not there, or is not for this provider.
        CredentialMissing: there is none at all.
        CredentialExpired: its time is over.
    """
    place = (owner_id, provider, credential_id)
    with _lock:
        kept = _open.get(place)
    if kept and time.monotonic() - kept[0] < OPEN_S and not kept[1].is_stale:
        return kept[1]
    opened = _opened(owner_id, provider, credential_id)
    with _lock:
        if len(_open) >= MOST_OPEN:
            _open.clear()
        _open[place] = (time.monotonic(), opened)
    return opened


def lacking(*, owner_id: int, wanted: Collection[Wanted]) -> dict[Wanted, AppError]:
    """Return what of it a firing would not find, and why; nothing is opened.

    What was there is not looked up again for a few seconds. That need not be right: a firing looks again.
    """
    moment = time.monotonic()
    with _lock:
        unsure = [want for want in set(wanted) if moment - _there.get((owner_id, *want), -OPEN_S) >= OPEN_S]
    if not unsure:
        return {}
    usable = list(
        Credential.objects.usable_by(owner_id)
        .filter(provider__in={provider for provider, _ in unsure})
        .select_related("grant")
        .defer("secret", "grant__tokens")
    )
    found = {want: _why_not(want, usable) for want in unsure}
    with _lock:
        if len(_there) >= MOST_OPEN:
            _there.clear()
        _there.update({(owner_id, *want): moment for want, why in found.items() if why is None})
    return {want: why for want, why in found.items() if why is not None}


def _why_not(want: Wanted, usable: Sequence[Credential]) -> AppError | None:
    provider, id_ = want
    if id_ is not None:
        chosen = next((one for one in usable if (one.pk, one.provider) == (id_, provider)), None)
        if chosen is None:
            return CredentialNotFound(f"There is no credential {id_} of yours for {provider}.")
        if chosen.is_expired:
            return CredentialExpired(f"The credential {chosen.name!r} has expired.")
        if not chosen.is_connected:
            return CredentialNotConnected(f"Nobody has allowed the credential {chosen.name!r} anything yet.")
        return None
    good = (one.provider == provider and one.is_connected and not one.is_expired for one in usable)
    if any(good) or _platforms_own(provider):
        return None
    return CredentialMissing(f"There is no credential for {provider}.")


def uses_own_key(*, owner_id: int, providers: Iterable[str], credential_ids: Mapping[str, UUID]) -> bool:
    """Say whether all of these providers are asked with keys of the owner, who then pays there and not here."""
    try:
        return all(
            open_credential(owner_id=owner_id, provider=name, credential_id=credential_ids.get(name)).is_own
            for name in providers
        )
    except AppError:
        return False


def forget() -> None:
    """Keep no credential open in this process."""
    with _lock:
        _open.clear()
        _there.clear()
    masks.forget()


def opened(credential: Credential) -> OpenCredential:
    """Return a stored credential, open.

    Raises:
        KeyLost: it was encrypted with a key that is not there any more.
        CredentialNotConnected: it is of the kind oauth2, and nobody has allowed it anything.
    """
    secret: dict[str, Any] = credential.secret.reveal()
    provider = providers.get(credential.provider)
    parts: dict[str, Any] = {name: secret[name] for name in ("api_key", "username", "password") if name in secret}
    if credential.kind == AuthKind.OAUTH2:
        parts |= _token_of(credential)
    return OpenCredential(
        provider=credential.provider,
        kind=credential.kind,
        id=credential.pk,
        headers=secret.get("headers", {}),
        base_url=credential.base_url,
        allowed_hosts=tuple(credential.allowed_hosts) or provider.hosts_for(credential.base_url),
        max_concurrent=credential.max_concurrent or provider.max_concurrent,
        rate_per_second=credential.rate_per_second or provider.rate_per_second,
        **parts,
    )


def _token_of(credential: Credential) -> dict[str, Any]:
    grant = Grant.objects.filter(credential=credential).first()
    if grant is None:
        raise CredentialNotConnected(f"Nobody has allowed the credential {credential.name!r} anything yet.")
    return {
        "access_token": grant.tokens.reveal()["access_token"],
        # What ends while it is kept open here is looked at again as well.
        "is_stale": not grant.is_fresh(now() + timedelta(seconds=OPEN_S)),
    }


def _opened(owner_id: int, provider: str, credential_id: UUID | None) -> OpenCredential:
    usable = Credential.objects.usable_by(owner_id).filter(provider=provider)
    if credential_id is not None:
        credential = usable.filter(pk=credential_id).first()
        if credential is None:
            raise CredentialNotFound(f"There is no credential {credential_id} for {provider}.")
    else:
        # One's own before what is shared, the newest first.
        credential = min(
            usable.good().connected().order_by("-id"), key=lambda one: one.owner_id != owner_id, default=None
        )
        if credential is None:
            if own := _platforms_own(provider):
                return own
            raise CredentialMissing(f"There is no credential for {provider}.")
    if credential.is_expired:
        raise CredentialExpired(f"The credential {credential.name!r} has expired.")
    Credential.objects.filter(pk=credential.pk).update(last_used_at=Now())
    return opened(credential)


def _platforms_own(provider: str) -> OpenCredential | None:
    """Return the platform's own key, from its environment, if it has one."""
    name = str(provider).upper()
    api_key, base_url = getattr(settings, f"{name}_API_KEY", ""), getattr(settings, f"{name}_BASE_URL", "")
    if not (api_key or base_url):
        return None
    known = providers.get(provider)
    return OpenCredential(
        provider=provider,
        api_key=api_key,
        base_url=base_url,
        allowed_hosts=known.hosts_for(base_url),
        max_concurrent=known.max_concurrent,
        rate_per_second=known.rate_per_second,
    )


def _check(credential: Credential) -> None:
    try:
        provider = providers.get(credential.provider)
    except ProviderUnknown as error:
        raise CredentialInvalid(error.message, path="provider") from None
    if credential.kind not in provider.kinds:
        kinds = ", ".join(provider.kinds)
        raise CredentialInvalid(f"{provider.title} takes {kinds}, not {credential.kind!r}.", path="kind")
    if not credential.name.strip() or "\x00" in credential.name:
        raise CredentialInvalid("It has no name.", path="name")
    if len(credential.allowed_hosts) > MOST_HOSTS:
        raise CredentialInvalid(f"A credential has at most {MOST_HOSTS} hosts.", path="allowed_hosts")
    if credential.group and not credential.group.user_set.filter(pk=credential.owner_id).exists():
        raise CredentialInvalid("Its owner is not in this group.", path="group")
    if credential.base_url and not hosts_of(credential.base_url):
        raise CredentialInvalid(f"{credential.base_url!r} is no address.", path="base_url")
    for entry in credential.allowed_hosts:
        if not is_entry(entry):
            raise CredentialInvalid(f"{entry!r} is neither `host` nor `host:port`.", path="allowed_hosts")
    _check_limits(credential)
    if not (credential.base_url or provider.base_url):
        raise CredentialInvalid(f"{provider.title} needs the address of your server.", path="base_url")


def _check_limits(credential: Credential) -> None:
    most, rate = credential.max_concurrent, credential.rate_per_second
    if most is not None and not 1 <= most <= MOST_CONCURRENT:
        raise CredentialInvalid(f"So many at once is 1 to {MOST_CONCURRENT:,}, or nothing.", path="max_concurrent")
    # Written so that NaN is refused too.
    if rate is not None and not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise CredentialInvalid(
            f"So many a second is {LOWEST_RATE:g} to {HIGHEST_RATE:,}, or nothing.", path="rate_per_second"
        )


def _seal(credential: Credential, secret: Mapping[str, Any]) -> None:
    """Check the parts of a secret, and keep them sealed with what tells it from others."""
    needed, possible = PARTS[AuthKind(credential.kind)]
    if not all(isinstance(name, str) for name in secret):
        raise CredentialInvalid("A part of it has no name.", path="secret")
    for name in needed:
        if not secret.get(name):
            raise CredentialInvalid(
                f"A credential of the kind {credential.kind} needs {name!r}.", path=f"secret.{name}"
            )
    for name, value in secret.items():
        if name not in needed | possible:
            raise CredentialInvalid(
                f"A credential of the kind {credential.kind} has no {name!r}.", path=f"secret.{name}"
            )
        _check_part(name, value)
    shown = [credential.name, credential.base_url, credential.allowed_hosts]
    if Mask(masks.secrets_in(secret)).finds(shown):
        raise CredentialInvalid("Its name, address or hosts hold the secret, and are shown.", path="secret")
    credential.secret = Sealed(dict(secret))
    main = _main_part(secret)
    credential.last4 = main[-4:] if len(main) >= SHORTEST_SHOWN else ""
    # Keyed, so that nobody who sees it can try out what a short password might be.
    credential.fingerprint = hmac.new(settings.SECRET_KEY.encode(), main.encode(), hashlib.sha256).hexdigest()[:16]
    credential.changed_at = now()


def _check_part(name: str, value: Any) -> None:
    texts = list(value.values()) if isinstance(value, dict) else [value]
    is_right_kind = isinstance(value, dict) == (name == "headers")
    if not is_right_kind or not all(isinstance(text, str) and len(text) <= LONGEST_SECRET for text in texts):
        raise CredentialInvalid(f"{name!r} is not what it should be.", path=f"secret.{name}")
    if any("\n" in text or "\r" in text or "\x00" in text for text in texts):
        raise CredentialInvalid(f"{name!r} has a line break in it.", path=f"secret.{name}")
    for header, text in _sent_in_headers(name, value).items():
        try:
            http.check_headers({header: text})
        except HeaderForbidden as error:
            place = f"secret.{name}.{header}" if name == "headers" else f"secret.{name}"
            told = error.message if name == "headers" else f"{name!r} has characters that no key can be sent with."
            raise CredentialInvalid(told, path=place, hint="Copy it once more from where it was made.") from None


def _sent_in_headers(name: str, value: Any) -> dict[str, str]:
    """Return what of a part is sent in headers as it is: of others, the encoding is."""
    if name == "headers":
        return dict(value)
    return {"Authorization": value} if name == "api_key" else {}


def _main_part(secret: Mapping[str, Any]) -> str:
    """Return the part by which people know a credential."""
    for name in ("api_key", "password", "client_secret"):
        if secret.get(name):
            return str(secret[name])
    return "\n".join(str(text) for _, text in sorted(secret.get("headers", {}).items()))
