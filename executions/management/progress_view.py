"""Draw an execution in the terminal: live where somebody watches, else one line for each thing that happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agentplatform.lib.money import show
from executions.engine.status import NODE_FINAL, NodeStatus, Status
from executions.following import NodeProgress, Snapshot
from executions.management.terminal import printable
from executions.models import Execution
from executions.presenting import overall, pretty, show_counts, show_duration, show_position

_MARKS = {
    NodeStatus.PENDING: ("·", "dim"),
    NodeStatus.RUNNING: ("▸", "cyan"),
    NodeStatus.WAITING: ("◷", "yellow"),
    NodeStatus.SUCCEEDED: ("✓", "green"),
    NodeStatus.FAILED: ("✗", "red"),
    NodeStatus.SKIPPED: ("–", "dim"),
    NodeStatus.INCOMPLETE: ("◌", "yellow"),
    NodeStatus.CANCELLED: ("■", "yellow"),
}
_STYLES = {
    Status.SUCCEEDED: "bold green",
    Status.FAILED: "bold red",
    Status.BUDGET_EXCEEDED: "bold red",
    Status.CANCELLED: "bold yellow",
}
#: Lines of the terminal that are not for nodes.
_MARGIN = 6


def show_progress(snapshots: Iterable[Snapshot], console: Console) -> Snapshot:
    """Draw each snapshot as it comes, and return the last one."""
    drawn = _drawn_live(snapshots, console) if console.is_terminal else _told_in_lines(snapshots, console)
    return deque(drawn, maxlen=1).pop()


def show_result(snapshot: Snapshot, console: Console, *, url: str = "") -> None:
    """Print how an execution ended: its outputs or its error, what it used, and where to see more."""
    execution = snapshot.execution
    for name, value in execution.outputs.items():
        _print(Text(f"\n{_one_line(name)}", style="bold"), console)
        _print(_value(value), console, indent=2)
    if execution.error_code:
        _print(Text("\n") + _error(execution), console)
    _print(Text("\n") + _verdict(snapshot), console)
    if url:
        _print(Text(f"See {url}", style="dim"), console)


def _drawn_live(snapshots: Iterable[Snapshot], console: Console) -> Iterator[Snapshot]:
    with Live(console=console, refresh_per_second=10) as live:
        snapshot = None
        for snapshot in snapshots:
            live.update(_picture(snapshot, console.height))
            yield snapshot
        if snapshot:
            live.update(_nodes(snapshot.nodes))


def _told_in_lines(snapshots: Iterable[Snapshot], console: Console) -> Iterator[Snapshot]:
    told: dict[str, str] = {}
    waits: set[str] = set()
    for snapshot in snapshots:
        place = show_position(snapshot.position)
        if place != told.get("", "") and place:
            told[""] = place
            console.print(Text(f"{snapshot.duration.total_seconds():7.1f} s  {place}"), soft_wrap=True)
        for node in snapshot.nodes:
            stands = show_counts(node.counts)
            if stands != told.get(node.key, ""):
                told[node.key] = stands
                seconds = snapshot.duration.total_seconds()
                console.print(Text(f"{seconds:7.1f} s  {_one_line(node.title)}: {stands}"), soft_wrap=True)
        for wait in set(snapshot.waits) - waits:
            console.print(Text(f"{snapshot.duration.total_seconds():7.1f} s  {_one_line(wait)}"), soft_wrap=True)
        waits.update(snapshot.waits)
        yield snapshot


def _picture(snapshot: Snapshot, height: int) -> RenderableType:
    stands = show_position(snapshot.position) or snapshot.status.lower()
    status = Text(f" {stands} for {show_duration(snapshot.duration)}", style="dim")
    shown, hidden = _that_fit(snapshot.nodes, height - _MARGIN - len(snapshot.waits))
    rest = [Text(f"  … {hidden:,} more nodes", style="dim")] if hidden else []
    waits = [Text(f"  {_one_line(wait)}", style="yellow") for wait in snapshot.waits]
    return Group(_nodes(shown), *rest, *waits, Spinner("dots", text=status))


def _that_fit(nodes: tuple[NodeProgress, ...], room: int) -> tuple[tuple[NodeProgress, ...], int]:
    """Return the nodes to show, and how many that leaves out: first those that have ended, then those still to come."""
    if len(nodes) <= max(room, 1):
        return nodes, 0
    moving = [index for index, node in enumerate(nodes) if node.counts and overall(node.counts) not in NODE_FINAL]
    middle = moving[0] if moving else sum(1 for node in nodes if node.counts)
    first = max(0, min(middle - 1, len(nodes) - max(room, 1)))
    shown = nodes[first : first + max(room, 1)]
    return shown, len(nodes) - len(shown)


def _nodes(nodes: Iterable[NodeProgress]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=40)
    table.add_column(no_wrap=True)
    for justify in ("right", "right", "right"):
        table.add_column(justify=justify, no_wrap=True, style="dim")
    for node in nodes:
        table.add_row(*_row(node))
    return table


def _row(node: NodeProgress) -> Iterator[Text]:
    mark, style = _MARKS[overall(node.counts)]
    tokens = node.input_tokens + node.output_tokens
    yield Text(mark, style=style)
    yield Text(_one_line(node.title), style="" if node.counts else "dim")
    yield Text(show_counts(node.counts) or "to come", style=style)
    yield Text(show_duration(node.duration))
    yield Text(f"{tokens:,} tokens" if tokens else "")
    yield Text(show(node.cost_microcredits) if node.cost_microcredits else "")


def _verdict(snapshot: Snapshot) -> Text:
    execution = snapshot.execution
    text = Text(snapshot.status.value, style=_STYLES.get(snapshot.status, "bold"))
    text.append(f" in {show_duration(snapshot.duration)}", style="default not bold")
    told = [f"{execution.input_tokens:,} + {execution.output_tokens:,} tokens", show(execution.cost_microcredits)]
    return text.append(f" · {' · '.join(told)}", style="default not bold")


def _error(execution: Execution) -> Text:
    place = f" at {_one_line(execution.error_node)}" if execution.error_node else ""
    text = Text(f"{execution.error_code}{place}: ", style="bold red")
    text.append(printable(execution.error_message), style="default not bold")
    return text.append(f"\n{printable(execution.error_hint)}" if execution.error_hint else "", style="dim not bold")


def _value(value: Any) -> Text:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return Text("\n".join(f"• {printable(item)}" for item in value))
    return Text(printable(pretty(value)))


def _print(text: Text, console: Console, *, indent: int = 0) -> None:
    """Print a text, folded and indented where a person reads it."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        console.print(text, soft_wrap=True)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
