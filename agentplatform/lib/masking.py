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
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

MASKED = "***"
#: What is shorter would be found in the middle of innocent words, and is guessed sooner than read.
SHORTEST = 6
#: So many secrets are remembered for the log of a process.
MOST_REMEMBERED = 2_000


class Mask:
    """Replaces the secrets it has learned. Learning and masking may happen on several threads at once."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        #: How the forms of secrets begin, and the length of the longest; found out when a text comes in pieces.
        self._beginnings: tuple[frozenset[str], int] | None = None
        self._lock = Lock()
        self.learn(secrets)

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to look for."""
        return self._pattern is None

    def learn(self, secrets: Iterable[str]) -> None:
        """Look for these from now on, too."""
        found = {secret for secret in secrets if len(secret) >= SHORTEST}
        if found <= self._secrets:
            return
        with self._lock:
            self._secrets = self._secrets | found
            forms = {form for secret in self._secrets for form in forms_of(secret)}
            # The longest first: a form may be the beginning of another.
            self._beginnings = None
            self._pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))

    def begun_at_the_end_of(self, text: str) -> int:
        """Return how many of the last characters of a text may be the beginning of a secret."""
        if self._pattern is None:
            return 0
        beginnings, longest = self._beginnings or self._find_beginnings()
        lengths = range(min(longest, len(text)), 0, -1)
        return next((length for length in lengths if text[len(text) - length :] in beginnings), 0)

    def _find_beginnings(self) -> tuple[frozenset[str], int]:
        with self._lock:
            forms = {form for secret in self._secrets for form in forms_of(secret)}
            beginnings = frozenset(form[:length] for form in forms for length in range(1, len(form)))
            self._beginnings = beginnings, max(map(len, beginnings))
            return self._beginnings

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        pattern = self._pattern
        return text if pattern is None else pattern.sub(MASKED, text)

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets, in keys and texts, however deep; the same object where there is nothing to look for."""
        if self._pattern is None:
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
        if self._pattern is None:
            return pieces
        masked = [self.value(piece) for piece in pieces]
        if len(masked) < 2 or not all(isinstance(piece, str) for piece in masked):
            return masked
        return list(self._masked_pieces(masked))

    def _masked_pieces(self, pieces: list[str]) -> Iterator[str]:
        assert self._pattern is not None
        whole = "".join(pieces)
        spans = [match.span() for match in self._pattern.finditer(whole)]
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
        text = self._mask.text(self._held + piece)
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


def forms_of(secret: str) -> set[str]:
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
    return {form for form in forms if len(form) >= SHORTEST}


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

    def text(self, text: str) -> str:
        return self._mask.text(text)


_remembered = _Remembered()


def remember(secrets: Iterable[str]) -> None:
    """Keep these out of the log of this process from now on."""
    _remembered.add(secrets)


def in_log(text: str) -> str:
    """Return a text as the log of this process may hold it."""
    return _remembered.text(text)
