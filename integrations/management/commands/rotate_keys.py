"""`manage.py rotate_keys`: put every stored secret under the newest encryption key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentplatform.lib.errors import AppError
from integrations import rotation


class Command(BaseCommand):
    """Encrypt again what is not under the first of AGENTPLATFORM_ENCRYPTION_KEYS. May be stopped and run again."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = rotation.rotate(dry_run=options["dry_run"])
        except AppError as error:
            raise CommandError(f"{error.message} {error.hint}") from None
        verb = "would be encrypted" if options["dry_run"] else "encrypted"
        self.stdout.write(f"{found.rotated} {verb} again, {found.current} under the newest key already.")
        if found.lost:
            raise CommandError(f"{len(found.lost)} can not be read with any key: {' '.join(found.lost)}")
