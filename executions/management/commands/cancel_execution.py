"""Stop executions from the command line, whoever has started them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from executions import services
from executions.models import Execution


class Command(BaseCommand):
    help = "Stop executions and all that they have started. Those that have ended stay as they are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("executions", metavar="EXECUTION", type=UUID, nargs="+")

    def handle(self, *args: Any, **options: Any) -> None:
        found = {one.pk: one for one in Execution.objects.filter(pk__in=options["executions"])}
        if missing := [str(one) for one in options["executions"] if one not in found]:
            raise CommandError(f"There is no execution {', '.join(missing)}.")
        for execution_id in options["executions"]:
            stopped = services.cancel(found[execution_id])
            self.stdout.write(f"{execution_id} {stopped.status}")
