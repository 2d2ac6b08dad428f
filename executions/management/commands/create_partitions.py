"""Create the coming months' partitions."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from executions.reconcile import ensure_partitions


class Command(BaseCommand):
    help = "Create the partitions of the coming months, where they are missing. Prints the new ones."

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ensure_partitions():
            self.stdout.write(name)
