"""Secrets out of what is stored, shown, logged or sent: whatever a credential holds is replaced, in every form in which it usually travels.

What somebody has transformed in another way (encrypted, compressed, spelled out) can not be found by anybody; that is why credentials are
sent nowhere but to their own hosts, too.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import takewhile
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

import re2

MASKED = "***"
#: What is shorter would be found in the middle of innocent words, and is guessed sooner than read.
SHORTEST = 6
#: Of a secret that was cut, so much and half of it is looked for as well.
SHORTEST_BEGINNING = 10
#: Of forms as long as this, every beginning is kept, to be found at once.
LONGEST_LISTED = 300
#: So many secrets are remembered for the log of a process.
MOST_REMEMBERED = 2_000


class _Sought:
    """A set of secrets, and what they look like in a text: worked out when the first text comes."""

    def __init__(self, secrets: frozenset[str]) -> None:
        self.secrets = secrets

    @cached_property
    def finder(self) -> Any:
        """Return what says quickly whether there is anything at all: all texts come past it, however large."""
        options = re2.Options()
        options.log_errors = False
        options.max_mem = 64 * 1024 * 1024
        looks = self._forms | set(self.beginnings)
        return re2.compile("|".join(re2.escape(form) for form in sorted(looks)), options)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Return what finds each form. The longest first: a form may be the beginning of another."""
        return re.compile("|".join(re.escape(form) for form in sorted(self._forms, key=len, reverse=True)))

    @cached_property
    def beginnings(self) -> dict[str, str]:
        """Return each secret by as much of it as tells too much."""
        return {
            secret[: max(SHORTEST_BEGINNING, len(secret) // 2)]: secret
            for secret in self.secrets
            if len(secret) > SHORTEST_BEGINNING
        }

    @cached_property
    def openings(self) -> frozenset[str]:
        """Return every beginning of every form, but for the long ones."""
        return frozenset(
            form[:length] for form in self._forms if len(form) <= LONGEST_LISTED for length in range(1, len(form))
        )

    @cached_property
    def long_forms(self) -> list[str]:
        """Return those: to list their beginnings would take too much."""
        return [form for form in self._forms if len(form) > LONGEST_LISTED]

    @cached_property
    def _forms(self) -> set[str]:
        return {form for secret in self.secrets for form in forms_of(secret)}

    def is_in(self, text: str) -> bool:
        """Say whether a text holds one of them, or much of one."""
        try:
            return self.finder.search(text) is not None
        except UnicodeError:
            # Half a surrogate pair is not what that can read.
            return self.pattern.search(text) is not None or any(begin in text for begin in self.beginnings)

    def without(self, text: str) -> str:
        """Return a text without them, and without what is left of one that somebody has cut."""
        text = self.pattern.sub(MASKED, text)
        for begin, secret in self.beginnings.items():
            while (start := text.find(begin)) >= 0:
                pairs = zip(text[start : start + len(secret)], secret, strict=False)
                end = start + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
                text = text[:start] + MASKED + text[end:]
        return text


class Mask:
    """Replaces the secrets it has learned. Learning and masking may happen on several threads at once."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._sought: _Sought | None = None
        self._lock = Lock()
        self.learn(secrets)

    def copy(self) -> Mask:
        """Return one that knows the same, and may learn more."""
        other = Mask.__new__(Mask)
        other._sought, other._lock = self._sought, Lock()
        return other

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to look for."""
        return self._sought is None

    def learn(self, secrets: Iterable[str]) -> None:
        """Look for these from now on, too."""
        found = {secret for secret in secrets if len(secret) >= SHORTEST}
        with self._lock:
            known = self._sought.secrets if self._sought else frozenset()
            if not found <= known:
                self._sought = _Sought(known | found)

    def is_in(self, text: str) -> bool:
        """Say whether a text holds a secret; however large it is, that is quick."""
        sought = self._sought
        return sought is not None and sought.is_in(text)

    def finds(self, value: Any) -> bool:
        """Say whether a JSON value holds a secret."""
        return self._sought is not None and self.value(value) != value

    def begun_at_the_end_of(self, text: str) -> int:
        """Return how many of the last characters of a text may be the beginning of a secret."""
        if self._sought is None:
            return 0
        lengths = range(min(LONGEST_LISTED, len(text)), 0, -1)
        begun = next((length for length in lengths if text[len(text) - length :] in self._sought.openings), 0)
        for form in self._sought.long_forms:
            longer = range(min(len(form) - 1, len(text)), begun, -1)
            begun = next((length for length in longer if text.endswith(form[:length])), begun)
        return begun

    def whole(self, text: str) -> str:
        """Return a text without whole secrets, where what is left of one may still be completed."""
        return text if self._sought is None else self._sought.pattern.sub(MASKED, text)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        sought = self._sought
        return text if sought is None or len(text) < SHORTEST or not sought.is_in(text) else sought.without(text)

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets, in keys and texts, however deep; the same object where there is nothing to look for."""
        if self._sought is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part) for part in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self.text(str(value)) == str(value) else MASKED
        return value

    def stream(self, pieces: list[Any]) -> list[Any]:
        """Return the values of a stream without secrets, also those of which each piece holds only a part."""
        if self._sought is None:
            return pieces
        masked = [self.value(piece) for piece in pieces]
        if len(masked) < 2 or not all(isinstance(piece, str) for piece in masked):
            return masked
        return list(self._masked_pieces(masked))

    def _masked_pieces(self, pieces: list[str]) -> Iterator[str]:
        assert self._sought is not None
        whole = "".join(pieces)
        spans = [match.span() for match in self._sought.pattern.finditer(whole)] if self._sought.is_in(whole) else []
        at = 0
        for piece in pieces:
            yield "".join(_outside(piece, at, spans))
            at += len(piece)


class MaskedStream:
    """Masks a text that comes in pieces: what may be the beginning of a secret is held back until the next piece shows what it is."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held = ""

    def add(self, piece: str) -> str:
        """Return what can be shown of the text so far and was not shown before."""
        text = self._mask.whole(self._held + piece)
        held = self._mask.begun_at_the_end_of(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """Return what was held back, at the end of the text."""
        rest, self._held = self._mask.text(self._held), ""
        return rest


def _outside(piece: str, at: int, spans: list[tuple[int, int]]) -> Iterator[str]:
    """Yield what of a piece lies outside of some spans of the whole; where a span begins stands the mask."""
    place = 0
    for start, end in spans:
        first, last = max(start - at, 0), min(end - at, len(piece))
        if first >= len(piece) or last <= 0:
            continue
        yield piece[place:first]
        if start >= at:
            yield MASKED
        place = last
    yield piece[place:]


@lru_cache(maxsize=1_000)
def forms_of(secret: str) -> frozenset[str]:
    """Return how a secret may stand in a text: as it is, backwards, or as URLs, JSON, HTML, hex and Base64 write it."""
    raw = secret.encode(errors="surrogatepass")
    forms = {
        secret,
        secret[::-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        repr(secret)[1:-1],
        raw.hex(),
        raw.hex().upper(),
    }
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw), quote_plus(raw, safe="/")):
        forms |= {quoted, _lower_escapes(quoted)}
    forms |= set(_base64_forms(raw))
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield the Base64 of a secret wherever it begins in what was encoded: the letters that it alone decides."""
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(raw).decode()
        for before in range(3):
            encoded = encode(b"\0" * before + raw).decode().rstrip("=")
            # Its first letters are also those of what stands before it, its last those of what comes after.
            first = -(-before * 8 // 6)
            last = (before + len(raw)) * 8 // 6
            yield encoded[first:last]


def _lower_escapes(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda escape: escape.group().lower(), quoted)


class _Remembered:
    """The secrets that were lately opened in this process: what its log must not hold."""

    def __init__(self) -> None:
        self._secrets: OrderedDict[str, None] = OrderedDict()
        self._mask = Mask()
        self._lock = Lock()

    def add(self, secrets: Iterable[str]) -> None:
        with self._lock:
            new = [secret for secret in secrets if secret not in self._secrets]
            if not new:
                return
            self._secrets.update(dict.fromkeys(new))
            if len(self._secrets) > MOST_REMEMBERED:
                while len(self._secrets) > MOST_REMEMBERED // 2:
                    self._secrets.popitem(last=False)
                self._mask = Mask(self._secrets)
            else:
                self._mask.learn(new)

    def value(self, value: Any) -> Any:
        return self._mask.value(value)


_remembered = _Remembered()


def remember(secrets: Iterable[str]) -> None:
    """Keep these out of the log of this process from now on."""
    _remembered.add(secrets)


def in_log(text: str) -> str:
    """Return a text as the log of this process may hold it."""
    return str(_remembered.value(text))


def outside(value: Any) -> Any:
    """Return a JSON value as it may leave this process for whoever watches it."""
    return _remembered.value(value)
