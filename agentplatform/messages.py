"""What the console says once after something was done: kept until then in a cookie that is named like the others. Named in settings."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class _Cookie(CookieStorage):
    cookie_name = settings.AGENTPLATFORM_MESSAGES_COOKIE_NAME


class Messages(FallbackStorage):
    """A cookie, and the session for what does not fit into it."""

    storage_classes: ClassVar = (_Cookie, SessionStorage)  # type: ignore[misc]
