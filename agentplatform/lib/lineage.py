"""How far something that goes out has come: a header that counts, so that a circle of platforms, or of one, comes to an end."""

from __future__ import annotations

from collections.abc import Mapping

#: How many deliveries led to this request.
HOPS_HEADER = "Agentplatform-Hops"
MOST_COUNTED = 1_000


def hops_in(headers: Mapping[str, str]) -> int:
    """Return how many deliveries led to a request with these headers, by names in lower case; none where it does not say."""
    given = headers.get(HOPS_HEADER.lower(), "").strip()
    return min(int(given[:9]), MOST_COUNTED) if given.isascii() and given.isdigit() else 0
