"""Makes a local database usable: schema, an administrator, an API key. `bin/up` and `bin/demo` call it."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand, CommandParser

from access import keyring
from access.scopes import Scope
from agentplatform.local.paths import LOCAL
from agentplatform.local.ports import LOOPBACK
from agentplatform.local.stack import write_private


class Command(BaseCommand):
    """Migrate; if asked, create the administrator where no superuser exists. Print one line of JSON."""

    help = "Migrate a local database and make sure that somebody can log in. For development only."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the options."""
        parser.add_argument("--with-admin", action="store_true", help="make sure that somebody can log in")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do each step that is not done yet."""
        if not settings.IS_DEVELOPMENT:
            raise CommandError("prepare_local is for development: it makes an administrator with a printed password.")
        call_command("migrate", interactive=False, verbosity=1, stdout=sys.stderr)
        self.stdout.write(json.dumps(self._ensure_admin() if options["with_admin"] else {}))

    def _ensure_admin(self) -> dict[str, str]:
        users = get_user_model().objects
        answer: dict[str, str] = {}
        admin = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if admin is None:
            answer["password"] = secrets.token_urlsafe(12)
            admin = users.create_superuser("admin", password=answer["password"])
        self._ensure_key(LOCAL / "api_key", owner_id=admin.pk)
        return answer | {"username": admin.get_username()}

    def _ensure_key(self, path: Path, *, owner_id: int) -> None:
        key = keyring.find(path.read_text(), address=LOOPBACK) if path.exists() else None
        if key is not None:
            if key.graph_id is None:
                # A later release has doors that were not there when it was made.
                keyring.update(key, name=key.name, scopes=list(Scope), networks=key.networks, expires_at=key.expires_at)
            return
        _, text = keyring.issue(owner_id=owner_id, name="This machine", scopes=list(Scope))
        write_private(path, text)
