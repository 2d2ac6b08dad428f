"""Prove, or disprove, that all the database holds of executions is as it must be."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from pydantic_core import to_json

from executions import invariants
from executions.invariants import INVARIANTS, Finding


class Command(BaseCommand):
    help = (
        "Check that nothing was lost, doubled or left behind, in one snapshot and while the system runs. "
        "Exits with 1 and the offending ids if something does not hold; -v 2 tells how long each part took."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
        parser.add_argument("--only", type=_codes, default=(), metavar="I3,I8", help="check only these")
        parser.add_argument("--days", type=float, metavar="N", help="look only at what was accepted in the last N days")
        parser.add_argument(
            "--grace",
            type=float,
            metavar="S",
            help=f"seconds that what is under way may take (default here: {invariants.default_grace_s():g}); "
            "0 for a system that stands still",
        )
        parser.add_argument(
            "--skew",
            type=float,
            default=invariants.SKEW_S,
            metavar="S",
            help="seconds that the clocks of workers and database may differ (default: %(default)g)",
        )
        parser.add_argument(
            "--limit", type=int, default=invariants.LIMIT, metavar="N", help="ids to print (default: %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in invariants.survey(
            grace_s=options["grace"],
            skew_s=options["skew"],
            limit=options["limit"],
            only=options["only"],
            within=None if options["days"] is None else timedelta(days=options["days"]),
        ):
            findings.append(finding)
            if not options["json"]:
                self._tell(finding, with_times=options["verbosity"] > 1)
        if options["json"]:
            self.stdout.write(_as_json(findings))
        broken = [finding.invariant.code for finding in findings if finding.violations]
        if broken:
            raise CommandError(f"{', '.join(broken)} {'does' if len(broken) == 1 else 'do'} not hold.")

    def _tell(self, finding: Finding, *, with_times: bool) -> None:
        verdict = self.style.ERROR("does not hold") if finding.violations else "holds"
        invariant = finding.invariant
        self.stdout.write(f"{invariant.code} {invariant.title}: {verdict} ({finding.looked_at:,} looked at)")
        for violation in finding.violations:
            self.stdout.write(f"   {violation.sentence} Not so:")
            for id_ in violation.ids:
                self.stdout.write(f"      {id_}")
            if violation.has_more:
                self.stdout.write("      and more")
        if with_times:
            for name, seconds in finding.seconds.items():
                self.stdout.write(f"   {seconds:8.3f} s  {name}")


def _codes(text: str) -> tuple[str, ...]:
    codes = tuple(code.strip().upper() for code in text.split(","))
    checked = [one.code for one in INVARIANTS]
    if unknown := [code for code in codes if code not in checked]:
        raise ArgumentTypeError(f"{', '.join(unknown)} can not be checked; choose from {', '.join(checked)}")
    return codes


def _as_json(findings: list[Finding]) -> str:
    told = {
        "holds": not any(finding.violations for finding in findings),
        "invariants": [
            {
                "code": finding.invariant.code,
                "title": finding.invariant.title,
                "holds": not finding.violations,
                "looked_at": finding.looked_at,
                "violations": finding.violations,
                "seconds": finding.seconds,
            }
            for finding in findings
        ],
    }
    return to_json(told, indent=2).decode()
