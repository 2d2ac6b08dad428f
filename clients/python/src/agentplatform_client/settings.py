"""Where the platform is and which key proves who asks: given, or from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from agentplatform_client.errors import UsageError

URL = "AGENTPLATFORM_URL"
KEY = "AGENTPLATFORM_API_KEY"


@dataclass(frozen=True, slots=True)
class Settings:
    """An address without a slash at its end, and a key."""

    url: str
    api_key: str

    @classmethod
    def of(cls, url: str | None = None, api_key: str | None = None) -> Settings:
        """Return what was given, and for what was not, what the environment says.

        Raises:
            UsageError: there is no address or no key.
        """
        url, api_key = url or os.environ.get(URL, ""), api_key or os.environ.get(KEY, "")
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"Say where the platform is: {URL}=https://agents.example.org")
        if not api_key or not api_key.isascii() or not api_key.isprintable():
            raise UsageError(f"Give an API key: {KEY}=…")
        return cls(url.rstrip("/"), api_key.strip())
