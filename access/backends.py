"""The one way in by password: Django's, with guesses counted and every login in the log."""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from access import logins

logger = logging.getLogger(__name__)


class CountedBackend(ModelBackend):
    """Looks at a password only as long as there were not too many wrong ones."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return who it is; nobody without saying why, which for a name that nobody has takes as long."""
        if not username or password is None:
            return None
        address = request.META.get("REMOTE_ADDR", "") if request else ""
        may_try = logins.may_try(username, address)
        user = super().authenticate(request, username, password, **kwargs) if may_try else None
        if user is not None:
            logins.succeeded(username, address)
            logger.info("Login: user %s from %s", user.pk, address)
            return user
        # What is typed for a name may be a password: only names that somebody has are told.
        known = get_user_model()._default_manager.filter(username=username).values_list("pk", flat=True).first()
        why = "wrong name or password" if may_try else "too many attempts"
        logger.warning("Login refused, %s: %s from %s", why, f"user {known}" if known else "no such user", address)
        return None

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the same; Django's own would not count."""
        return await sync_to_async(self.authenticate)(request, username=username, password=password, **kwargs)
