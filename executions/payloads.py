"""What came to a webhook, read: the body as data, what has happened, and the graph's inputs that are made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from agentplatform.lib.lineage import hops_in
from executions.errors import PayloadInvalid
from executions.models.webhook import MAX_EVENT, MAX_KEY, NAMED
from executions.storable import storable
from graphs import texts
from graphs.errors import DocumentRefused
from integrations.signatures import Scheme, Signed

FORM = "application/x-www-form-urlencoded"
#: Where the whole payload is looked for, if a graph has an input of this name and the mapping says nothing.
WHOLE = "payload"
HEADER = "header:"
MOST_FIELDS = 1_000
#: Headers that say what came; all others may prove who sent it, or where from.
KEPT_HEADERS = ("content-type", "user-agent")
KEPT_PREFIXES = ("x-github-", "x-gitlab-", "x-webhook-", "x-slack-retry-", "webhook-", "x-event-", "x-shopify-topic")
NEVER_KEPT = ("signature", "secret", "token", "key", "auth", "cookie")
LONGEST_HEADER = 1_000
MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery as it came."""

    payload: Any
    headers: Mapping[str, str]
    event: str
    key: str
    is_named: bool
    digest: str
    size_bytes: int
    hops: int = 0


def read(body: bytes, headers: Mapping[str, str], scheme: Scheme) -> Received:
    """Return what was delivered. Only for a body whose signature is good.

    Raises:
        PayloadInvalid: it is neither JSON nor a form, or can not be stored.
    """
    payload = _parse(body, headers.get("content-type", ""))
    digest = hashlib.sha256(body).hexdigest()
    named = _named(payload, headers, scheme)
    signed = scheme.read(body, headers)
    return Received(
        payload=payload,
        headers=_kept(headers),
        event=_event(payload, headers, scheme),
        key=named or _unnamed(digest, signed),
        is_named=bool(named),
        digest=digest,
        size_bytes=len(body),
        hops=hops_in(headers),
    )


def inputs_of(received: Received, mapping: Mapping[str, str], declared: Collection[str]) -> dict[str, Any]:
    """Return the graph's inputs that a delivery gives. What it does not have is left to the graph's own default.

    Without a mapping an input takes what the payload has under its name, and one called `payload` takes all of it.
    """
    if mapping:
        found = {name: _at(received, place) for name, place in mapping.items()}
    else:
        own = received.payload if isinstance(received.payload, dict) else {}
        found = {name: own.get(name, received.payload if name == WHOLE else MISSING) for name in declared}
    return {name: value for name, value in found.items() if value is not MISSING}


def is_selected(event: str, events: Collection[str]) -> bool:
    """Say whether what has happened is one of these, or of their kind: `issues` selects `issues.opened` too."""
    return not events or any(event == one or event.startswith(f"{one}.") for one in events)


def is_place(text: str) -> bool:
    """Say whether a text says where something is: a JSON pointer into the payload, or `header:` and a name."""
    if text.startswith(HEADER):
        return len(text) > len(HEADER)
    return text == "" or text.startswith("/")


def pointed(payload: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) leads to, or `MISSING`."""
    found = payload
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 9 and int(name) < len(found):
            found = found[int(name)]
        else:
            return MISSING
    return found


def _parse(body: bytes, content_type: str) -> Any:
    kind = content_type.partition(";")[0].strip().lower()
    return _parse_form(body) if kind == FORM else _parse_json(body)


def _parse_json(body: bytes) -> Any:
    try:
        return texts.parse(body, "json")
    except DocumentRefused as error:
        raise PayloadInvalid(error.message.replace("The document", "The payload"), path=error.path) from None


def _parse_form(body: bytes) -> Any:
    """Return the fields of a form. One called `payload` that holds JSON is how GitHub and Slack send it."""
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise PayloadInvalid("The payload is not a form.") from None
    data: dict[str, Any] = {}
    for name, value in fields:
        if name in data:
            raise PayloadInvalid(f"The field {name[:80]!r} stands twice in the form.")
        data[name] = value
    if set(data) == {"payload"}:
        return _parse_json(data["payload"].encode())
    return storable(data, "", PayloadInvalid)


def _named(payload: Any, headers: Mapping[str, str], scheme: Scheme) -> str:
    """Return how the sender calls this delivery, if he does."""
    given = headers.get(scheme.id_header, "") if scheme.id_header else _first(payload, scheme.id_pointers)
    if not given:
        return ""
    if len(given) > MAX_KEY - len(NAMED) or not given.isprintable():
        raise PayloadInvalid("The id of the delivery is too long, or no plain text.")
    return NAMED + given


def _unnamed(digest: str, signed: Signed | None) -> str:
    time = signed.time if signed else None
    return f"body:{digest}:{time or ''}"


def _event(payload: Any, headers: Mapping[str, str], scheme: Scheme) -> str:
    event = headers.get(scheme.event_header, "") if scheme.event_header else ""
    event = event or _first(payload, scheme.event_pointers)
    action = _first(payload, [scheme.action_pointer]) if scheme.action_pointer else ""
    named = f"{event}.{action}" if event and action else event
    return _checked_text(named[:MAX_EVENT])


def _first(payload: Any, pointers: Iterable[str]) -> str:
    """Return the first text, or number, that one of the pointers leads to."""
    for pointer in pointers:
        found = pointed(payload, pointer)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found):
            return str(found)
    return ""


def _at(received: Received, place: str) -> Any:
    if place.startswith(HEADER):
        return received.headers.get(place.removeprefix(HEADER).strip().lower(), MISSING)
    return pointed(received.payload, place)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _checked_text(value[:LONGEST_HEADER])
        for name, value in headers.items()
        if name.startswith((*KEPT_HEADERS, *KEPT_PREFIXES)) and not any(word in name for word in NEVER_KEPT)
    }


def _checked_text(text: str) -> str:
    """Return a text that can be stored.

    Raises:
        PayloadInvalid: it has a character that can not.
    """
    checked: str = storable(text, "", PayloadInvalid)
    return checked
