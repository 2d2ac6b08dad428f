"""The table for people and the JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measured


def print_table(results: Sequence[Measured], rss_mb: Mapping[str, float], *, console: Console) -> None:
    """Print one row for each case and one for the memory."""
    table = Table(title="Medians in milliseconds, systems measured in turn")
    for heading in ("case", "ours", "hand-written Celery", "ratio", "durable floor", "bar", "met"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for result in results:
        table.add_row(
            result.case.name,
            _ms(result.median_ms("ours")),
            _ms(result.median_ms("baseline")),
            "" if result.ratio is None else f"{result.ratio:.3f}",
            _ms(result.median_ms("floor")),
            _bar(result),
            {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[result.is_met],
        )
    table.add_section()
    memory = {name: f"{amount:.0f} MB" for name, amount in rss_mb.items()}
    table.add_row(
        "memory (RSS)", memory.get("ours", ""), memory.get("baseline", ""), "", memory.get("floor", ""), "", ""
    )
    console.print(table)
    console.print("Ours and the floor are durable in PostgreSQL when they answer; the hand-written app is not.")


def write_json(path: Path, results: Sequence[Measured], rss_mb: Mapping[str, float]) -> None:
    """Write the cases that have bars."""
    cases = [_as_json(result, rss_mb) for result in results if not result.case.is_reported_only]
    path.write_text(json.dumps({"cases": cases}, indent=2) + "\n")


def _as_json(result: Measured, rss_mb: Mapping[str, float]) -> dict[str, Any]:
    return {
        "case": result.case.name,
        "ours_ms": _rounded(result.median_ms("ours")),
        "baseline_ms": _rounded(result.median_ms("baseline")),
        "floor_ms": _rounded(result.median_ms("floor")),
        "ratio": _rounded(result.ratio),
        "bar": result.case.ratio_bar if result.case.ms_bar is None else result.case.ms_bar,
        "bar_of": "ratio" if result.case.ms_bar is None else "ours_ms",
        "met": result.is_met,
        "rounds": len(next(iter(result.times_ms.values()))),
        "rss_mb": {name: round(amount) for name, amount in rss_mb.items()},
    }


def _bar(result: Measured) -> str:
    if result.case.ms_bar is not None:
        return f"≤ {result.case.ms_bar:.0f} ms"
    return "" if result.case.ratio_bar is None else f"≤ {result.case.ratio_bar:.2f}"


def _ms(amount: float | None) -> str:
    if amount is None:
        return ""
    return f"{amount:.1f}" if amount < 100 else f"{amount:,.0f}"


def _rounded(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 3)
