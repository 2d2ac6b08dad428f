"""How the command shows things: to people, or with `--json` to programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

STATUS_WIDTH = 10


class Printer:
    """Prints results to stdout, and everything else to stderr."""

    def __init__(self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self.out, self.err = out or sys.stdout, err or sys.stderr
        #: A text of a model is under way on the last line.
        self._is_writing = ""

    def result(self, data: Any, lines: Iterable[str] = ()) -> None:
        """Print what was asked for: the data to programs, lines to people."""
        self._end_line()
        if self.as_json:
            print(json.dumps(data, indent=2, ensure_ascii=False), file=self.out)
        else:
            for line in lines:
                print(_safe(line), file=self.out)
        self.out.flush()

    def note(self, text: str) -> None:
        """Say something that is no result."""
        self._end_line()
        print(_safe(text), file=self.err, flush=True)

    def event(self, event: Mapping[str, Any], *, is_result: bool) -> None:
        """Print a live event: where it is the result, to stdout, to programs as one line of JSON."""
        if self.as_json and is_result:
            print(json.dumps(event, ensure_ascii=False), file=self.out, flush=True)
            return
        to = self.out if is_result else self.err
        if event["type"] == "tokens":
            self._write(event, to)
            return
        self._end_line()
        print(_safe(line_of(event)), file=to, flush=True)

    def table(self, data: Any, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print rows under their heads; to programs, the data."""
        shown = [list(heads), *([_safe(text_of(value)) for value in row] for row in rows)]
        widths = [max(len(row[place]) for row in shown) for place in range(len(heads))]
        lines = (
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in shown
        )
        self.result(data, lines)

    def _write(self, event: Mapping[str, Any], to: TextIO) -> None:
        """Print what a model is writing, as it writes; only where somebody looks."""
        if not to.isatty():
            return
        place = f"{place_of(event)} #{event['reply']}"
        if self._is_writing != place:
            self._end_line()
            print(f"{'':8}  {_safe(place_of(event))}: ", end="", file=to)
            self._is_writing, self._writes_to = place, to
        print(_safe(event["text"].replace("\n", " ")), end="", file=to, flush=True)

    def _end_line(self) -> None:
        if self._is_writing:
            print(file=self._writes_to, flush=True)
            self._is_writing = ""


def line_of(event: Mapping[str, Any]) -> str:
    """Return a live event as a person reads it."""
    subject, _, what = event["type"].partition(".")
    told = [str(event["at"])[11:19], (place_of(event) if subject == "node" else "execution").ljust(24), what]
    if event.get("attempt", 1) > 1:
        told.append(f"(attempt {event['attempt']})")
    if what == "waiting" and "for" in event:
        told.append(f"for {event['for'].lower()}{': ' + event['title'] if event.get('title') else ''}")
    if event.get("outcome"):
        told.append(event["outcome"].lower())
    if event.get("cost_microcredits"):
        told.append(money(event["cost_microcredits"]))
    if error := event.get("error"):
        told.append(f"{error['code']}: {error['message']}")
    return "  ".join(told)


def place_of(event: Mapping[str, Any]) -> str:
    """Return the node of an event and its item, as people count: `shorten #2`."""
    path = ".".join(str(number + 1) for number in event.get("path", ()) if number >= 0)
    return f"{event.get('node', '')}{f' #{path}' if path else ''}"


def money(microcredits: int) -> str:
    """Return an amount as a person reads it."""
    return f"${microcredits / 1_000_000:.6f}".rstrip("0").rstrip(".")


def execution_lines(execution: Mapping[str, Any]) -> list[str]:
    """Return an execution as a person reads it."""
    lines = [f"{execution['graph_name']} v{execution['version_number']}  {execution['id']}  {execution['status']}"]
    if error := execution.get("error"):
        lines.append(f"{error['code']}: {error['message']}" + (f" (node {error['node']})" if error.get("node") else ""))
        lines += [error["hint"]] if error.get("hint") else []
    lines += [
        f"waits for {one['kind'].lower()}: {one['title'] or one['node']}" for one in execution.get("waits_for", ())
    ]
    for name, value in (execution.get("outputs") or {}).items():
        lines.append(f"{name}: {text_of(value)}")
    lines.append(f"cost {execution['cost']['text']}, tokens {execution['input_tokens']} + {execution['output_tokens']}")
    return lines


def text_of(value: Any) -> str:
    """Return a value on one line."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _safe(text: str) -> str:
    """Return a text without what would command the terminal."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)
