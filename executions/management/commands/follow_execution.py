"""Watch an execution from the command line, whoever has started it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from executions.engine.status import Status
from executions.following import follow
from executions.management.commands.execute import FAILED, INTERRUPTED
from executions.management.progress_view import show_progress, show_result
from executions.management.terminal import console_on
from executions.models import Execution


class Command(BaseCommand):
    help = "Watch an execution until it has ended. Exit code: 0 it succeeded, 1 it did not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("execution", metavar="EXECUTION", type=UUID)

    def handle(self, *args: Any, **options: Any) -> None:
        if not Execution.objects.filter(pk=options["execution"]).exists():
            raise CommandError(f"There is no execution {options['execution']}.")
        console = console_on(self.stdout)
        try:
            snapshot = show_progress(follow(options["execution"]), console)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        show_result(snapshot, console)
        if snapshot.status is not Status.SUCCEEDED:
            sys.exit(FAILED)
