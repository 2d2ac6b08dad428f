"""The verbs of blocks: what there is to draw with."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from agentplatform_client import blocks
from agentplatform_client.cli import codes
from agentplatform_client.cli.nouns import Noun
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    noun.add("list", "List all there are.", _list)
    one = noun.add("get", "Show one: what it takes and gives.", _get)
    one.add_argument("block", metavar="BLOCK", help="its id, such as split-text-block")


def _list(client: Client, asked: Namespace, printer: Printer) -> int:
    found = client.do(blocks.find())
    rows = [(one["id"], one["placement"], one["description"]) for one in found if not one["is_disabled"]]
    printer.table(found, ("ID", "RUNS", "DOES"), rows)
    return codes.SUCCEEDED


def _get(client: Client, asked: Namespace, printer: Printer) -> int:
    block = client.do(blocks.get(asked.block))
    lines = [f"{block['id']}: {block['description']}", "", "takes"]
    lines += _pins(block["input_schema"])
    lines += ["", "gives", *_pins(block["output_schema"], streams=block["streams"])]
    printer.result(block, lines)
    return codes.SUCCEEDED


def _pins(schema: Mapping[str, Any], *, streams: list[str] | None = None) -> list[str]:
    """Return the pins of a schema, each with its type and what it is for."""
    required = set(schema.get("required", ()))
    lines = []
    for name, pin in schema.get("properties", {}).items():
        marks = [_type(pin)]
        if streams is not None:
            marks += ["one item each"] if name in streams else []
        elif name in required:
            marks.append("required")
        lines.append(f"  {name} ({', '.join(marks)})  {pin.get('description', '')}".rstrip())
    return lines or ["  nothing"]


def _type(pin: Mapping[str, Any]) -> str:
    if "anyOf" in pin:
        return " or ".join(_type(one) for one in pin["anyOf"])
    return str(pin.get("type") or pin.get("$ref", "anything").rpartition("/")[2])
