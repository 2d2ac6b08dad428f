"""Add the whole ledger up again, and compare it with the balances and the holds."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agentplatform.lib.money import show
from executions import charging, invariants, ledger


class Command(BaseCommand):
    help = (
        "Add up all entries of the ledger and compare them with the balances; find money that is held for executions that have ended. "
        "Exits with 1 if something is wrong. Changes nothing, unless it is told to --fix."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--fix",
            action="store_true",
            help="give back what is held for executions that have ended; nothing else is ever changed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["fix"]:
            released = 0
            while count := charging.release_left_behind():
                released += count
            self.stdout.write(f"Gave back what was held for {released} firings.")
        wrong = ledger.differences()
        for one in wrong:
            self.stdout.write(
                f"Account {one.account_id} ({one.name}) says {show(one.balance_microcredits)}, "
                f"its entries say {show(one.entries_microcredits)}."
            )
        violations = invariants.check(only=["I5"])
        for violation in violations:
            self.stdout.write(str(violation))
        for name, total in ledger.totals().items():
            self.stdout.write(f"{name}: {show(total)}")
        if wrong or violations:
            raise CommandError("The ledger does not add up.")
        self.stdout.write("The ledger adds up.")
