"""How others sign what they send us: one scheme each, all by HMAC-SHA256 over the bytes as they came.

Pure and free of Django: what is compared, and with which moment, is given. Nothing here says why a signature is not good.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_bytes, token_hex

#: So far may the sender's clock be from ours, before and after; what is older may be somebody's copy.
TOLERANCE_S = 300
#: A header with more signatures than this is not from anybody who rotates keys.
MOST_SIGNATURES = 8
SHORTEST_SECRET, LONGEST_SECRET = 16, 500
STANDARD_PREFIX = "whsec_"

Headers = Mapping[str, str]


class SignatureScheme(StrEnum):
    """Who signs how."""

    #: `X-Webhook-Signature`: hex, with or without `sha256=`.
    GENERIC = "generic"
    #: standardwebhooks.com: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    STANDARD = "standard-webhooks"
    GITHUB = "github"
    STRIPE = "stripe"
    SLACK = "slack"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request claims: these signatures over this content, made at this time if the scheme signs one."""

    content: bytes
    signatures: tuple[str, ...]
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of sender signs, and what it calls things."""

    name: SignatureScheme
    #: The header that holds the signature, in lower case.
    header: str
    #: Take a request apart; None if it is not signed in this way.
    read: Callable[[bytes, Headers], Signed | None]
    #: The header that names the delivery, in lower case; or where the payload does.
    id_header: str = ""
    id_pointers: tuple[str, ...] = ()
    #: The same for what has happened.
    event_header: str = ""
    event_pointers: tuple[str, ...] = ()
    #: Added to the event after a dot, if the payload has it.
    action_pointer: str = ""
    #: What it sends to see whether somebody listens.
    greeting: str = ""
    #: Whether a repeated delivery always has the same body, so that another one is refused.
    repeats_alike: bool = True
    write: Callable[[bytes], str] = bytes.hex
    key_of: Callable[[str], bytes] = str.encode


def verify(
    body: bytes,
    headers: Headers,
    secret: str | Iterable[str],
    scheme: str,
    *,
    at: float,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Say whether these bytes were signed with one of the secrets, no longer ago than is tolerated at the moment `at`.

    Header names are looked up in lower case. It takes as long for a signature that is almost right as for one that is all wrong.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    known = SCHEMES[SignatureScheme(scheme)]
    signed = known.read(body, headers) or Signed(body, ())
    is_good = False
    for one in secrets:
        expected = known.write(hmac.digest(known.key_of(one), signed.content, "sha256")).encode()
        for given in signed.signatures[:MOST_SIGNATURES]:
            is_good |= hmac.compare_digest(expected, given.encode(errors="replace"))
    return is_good and (signed.time is None or _is_near(signed.time, at, tolerance_s))


def sign(
    body: bytes, secret: str, scheme: str, *, at: float, delivery_id: str = "", has_time: bool = False
) -> dict[str, str]:
    """Return the headers that a sender of this scheme adds: for trying a webhook out."""
    known = SCHEMES[SignatureScheme(scheme)]
    key, time = known.key_of(secret), str(int(at))

    def made(content: bytes) -> str:
        return known.write(hmac.digest(key, content, "sha256"))

    match known.name:
        case SignatureScheme.STANDARD:
            signature = f"v1,{made(f'{delivery_id}.{time}.'.encode() + body)}"
            return {"webhook-id": delivery_id, "webhook-timestamp": time, "webhook-signature": signature}
        case SignatureScheme.GITHUB:
            return {"X-Hub-Signature-256": f"sha256={made(body)}", "X-GitHub-Delivery": delivery_id}
        case SignatureScheme.STRIPE:
            return {"Stripe-Signature": f"t={time},v1={made(f'{time}.'.encode() + body)}"}
        case SignatureScheme.SLACK:
            signature = f"v0={made(f'v0:{time}:'.encode() + body)}"
            return {"X-Slack-Request-Timestamp": time, "X-Slack-Signature": signature}
    named = {"X-Webhook-Id": delivery_id} if delivery_id else {}
    if not has_time:
        return named | {"X-Webhook-Signature": f"sha256={made(body)}"}
    signature = f"sha256={made(f'{time}.'.encode() + body)}"
    return named | {"X-Webhook-Timestamp": time, "X-Webhook-Signature": signature}


def new_secret(scheme: str) -> str:
    """Return a random secret in the form that senders of this scheme expect; nothing where the sender makes it.

    Theirs is copied from the page where the sender shows it.
    """
    match scheme:
        case SignatureScheme.STANDARD:
            return STANDARD_PREFIX + b64encode(token_bytes(32)).decode()
        case SignatureScheme.STRIPE | SignatureScheme.SLACK:
            return ""
    return token_hex(32)


def is_secret(text: str, scheme: str) -> bool:
    """Say whether a text can be the secret of a webhook of this scheme."""
    if not (SHORTEST_SECRET <= len(text) <= LONGEST_SECRET and text.isascii() and text.isprintable()):
        return False
    if scheme == SignatureScheme.STANDARD:
        return len(_standard_key(text)) >= SHORTEST_SECRET
    return True


def _is_near(time: str, at: float, tolerance_s: float) -> bool:
    return time.isascii() and time.isdigit() and len(time) < 12 and abs(at - int(time)) <= tolerance_s


def _read_generic(body: bytes, headers: Headers) -> Signed | None:
    given = headers.get("x-webhook-signature", "").strip()
    time = headers.get("x-webhook-timestamp")
    content = body if time is None else f"{time}.".encode() + body
    return Signed(content, (given.removeprefix("sha256=").lower(),), time) if given else None


def _read_standard(body: bytes, headers: Headers) -> Signed | None:
    named, time = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")
    if not named or not time:
        return None
    signatures = tuple(one.removeprefix("v1,") for one in given if one.startswith("v1,") and len(one) > len("v1,"))
    return Signed(f"{named}.{time}.".encode() + body, signatures, time)


def _read_github(body: bytes, headers: Headers) -> Signed | None:
    given = headers.get("x-hub-signature-256", "").strip()
    return Signed(body, (given.removeprefix("sha256="),)) if given.startswith("sha256=") else None


def _read_stripe(body: bytes, headers: Headers) -> Signed | None:
    pairs = [pair.strip().partition("=") for pair in headers.get("stripe-signature", "").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1:
        return None
    signatures = tuple(value for name, _, value in pairs if name == "v1")
    return Signed(f"{times[0]}.".encode() + body, signatures, times[0])


def _read_slack(body: bytes, headers: Headers) -> Signed | None:
    time, given = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "").strip()
    if not time or not given.startswith("v0="):
        return None
    return Signed(f"v0:{time}:".encode() + body, (given.removeprefix("v0="),), time)


def _standard_key(secret: str) -> bytes:
    """Return the key in a secret, which is Base64 with or without a prefix; of any other text, nothing."""
    try:
        return b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except binascii.Error:
        return b""


def _as_base64(digest: bytes) -> str:
    return b64encode(digest).decode()


SCHEMES: Mapping[SignatureScheme, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            SignatureScheme.GENERIC,
            header="x-webhook-signature",
            read=_read_generic,
            id_header="x-webhook-id",
            event_header="x-webhook-event",
            event_pointers=("/event", "/type"),
        ),
        Scheme(
            SignatureScheme.STANDARD,
            header="webhook-signature",
            read=_read_standard,
            id_header="webhook-id",
            event_pointers=("/type",),
            write=_as_base64,
            key_of=_standard_key,
        ),
        Scheme(
            SignatureScheme.GITHUB,
            header="x-hub-signature-256",
            read=_read_github,
            id_header="x-github-delivery",
            event_header="x-github-event",
            action_pointer="/action",
            greeting="ping",
        ),
        Scheme(
            SignatureScheme.STRIPE,
            header="stripe-signature",
            read=_read_stripe,
            id_pointers=("/id",),
            event_pointers=("/type",),
            # `pending_webhooks` in it counts down while Stripe tries again.
            repeats_alike=False,
        ),
        Scheme(
            SignatureScheme.SLACK,
            header="x-slack-signature",
            read=_read_slack,
            id_pointers=("/event_id", "/trigger_id"),
            event_pointers=("/event/type", "/command", "/type"),
            greeting="url_verification",
        ),
    )
}
