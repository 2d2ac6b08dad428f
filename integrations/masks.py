"""What must not be found in anything of a user's: all that is held by the credentials their graphs may use, and by the platform's own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from django.conf import settings

from agentplatform.lib import masking
from agentplatform.lib.crypto import KeyLost, KeysMissing
from agentplatform.lib.masking import Mask
from integrations import providers
from integrations.models import Credential

#: So long it is not asked whether there are new ones. A firing knows at once what it has opened itself.
FRESH_S = 1.0
MOST_OWNERS = 10_000
#: Of what a secret consists of, what people may see.
OPEN_PARTS = frozenset({"username", "client_id", "authorize_url", "token_url", "scopes"})

#: By owner: when it was made, of what, and the mask.
_known: dict[int, tuple[float, object, Mask]] = {}
_lock = Lock()


def mask_for(owner_id: int) -> Mask:
    """Return the mask of a user. It is shared: whoever wants it to learn more makes a copy."""
    moment = time.monotonic()
    with _lock:
        known = _known.get(owner_id)
    if known and moment - known[0] < FRESH_S:
        return known[2]
    stamp = tuple(
        Credential.objects.usable_by(owner_id).order_by("pk").values_list("pk", "changed_at", "grant__generation")
    )
    mask = known[2] if known and known[1] == stamp else _made(owner_id)
    with _lock:
        if len(_known) >= MOST_OWNERS:
            _known.clear()
        _known[owner_id] = (moment, stamp, mask)
    return mask


def forget() -> None:
    """Keep no mask in this process."""
    with _lock:
        _known.clear()


def secrets_in(secret: Mapping[str, Any]) -> Iterator[str]:
    """Yield every secret text in the parts of a credential."""
    for name, value in secret.items():
        if name not in OPEN_PARTS:
            for text in value.values() if isinstance(value, Mapping) else [value]:
                yield str(text)
                # `Bearer abc`: also the key alone.
                yield from str(text).split()


def _made(owner_id: int) -> Mask:
    secrets = {key for provider in providers.ALL if (key := getattr(settings, f"{provider.name.upper()}_API_KEY", ""))}
    usable = Credential.objects.usable_by(owner_id)
    sealed: Any
    for sealed in (*usable.values_list("secret", flat=True), *usable.values_list("grant__tokens", flat=True)):
        try:
            secrets.update(secrets_in(sealed.reveal() if sealed else {}))
        except (KeyLost, KeysMissing):
            continue  # what nobody can open, nobody can give away
    masking.remember(secrets)
    return Mask(secrets)
