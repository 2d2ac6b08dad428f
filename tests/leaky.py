"""Blocks that give away the key they were handed, in every way there is; workers load them by `AGENTPLATFORM_EXTRA_BLOCKS`."""

from __future__ import annotations

import base64
import html
import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote, quote_plus

from blocks.sdk import Block, BlockError, BlockSchema, Placement, Retry
from integrations.providers import ProviderName


class LeakInput(BlockSchema):
    how: str
    #: A graph with an input of the name `given`.
    graph_id: str = ""


class LeakOutput(BlockSchema):
    output: Any = None
    piece: str = ""


class Leaks(Block):
    """Gives its key away, as `how` says."""

    id = "leaks.io"
    name = "Leak"
    description = "Gives away its key."
    placement = Placement.IO
    credentials_required = (ProviderName.OPENAI,)
    streams = frozenset({"piece"})
    retry = Retry(attempts=2, delay_s=0.01, on=("LEAKED_ONCE",))
    input_schema, output_schema = LeakInput, LeakOutput

    async def execute(self, input_data: LeakInput) -> AsyncIterator[tuple[str, Any]]:
        """Leak, and then end."""
        key = (await self.get_credentials(ProviderName.OPENAI)).api_key
        if input_data.how in RETURNS:
            yield "output", RETURNS[input_data.how](key)
            return
        if input_data.how == "pieces":
            for start in range(0, len(key), 3):
                yield "piece", key[start : start + 3]
            return
        if input_data.how == "sub-graph":
            yield "output", await self.execute_subgraph(graph_id=input_data.graph_id, inputs={"given": key}, key=key)
            return
        await DOES[input_data.how](self, key)
        yield "output", "done"


RETURNS: dict[str, Callable[[str], Any]] = {
    "plain": lambda key: key,
    "in a text": lambda key: f"Key={key}; and so on",
    "deep inside": lambda key: {"a": [{key: [key]}], "b": f"{key}{key}"},
    "backwards": lambda key: key[::-1],
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of a login": lambda key: f"Basic {base64.b64encode(f'bob:{key}'.encode()).decode()}",
    "base64 of a login before something": lambda key: base64.b64encode(f"1{key}22".encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    "hex": lambda key: key.encode().hex(),
    "URL": lambda key: f"https://example.com/?key={quote(key, safe='')}&x=1",
    "URL with lower escapes": lambda key: quote(key, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "form": lambda key: f"key={quote_plus(key)}",
    "JSON in a text": lambda key: json.dumps({"key": key}),
    "HTML": lambda key: f"<b>{html.escape(key)}</b>",
    "repr": repr,
    "cut off": lambda key: f"The key is {key}"[:-4],
}


async def _raise(block: Block, key: str) -> None:
    raise BlockError(f"{key} is not good", code="LEAKED", hint=f"Try another than {key}")


async def _raise_once(block: Block, key: str) -> None:
    raise BlockError(f"{key} is not good", code="LEAKED_ONCE")


async def _crash(block: Block, key: str) -> None:
    raise RuntimeError(f"with {key!r}")


async def _raise_at_the_edge(block: Block, key: str) -> None:
    # Just where the platform cuts what an error says.
    raise BlockError("x" * (10_000 - len(key) + 3) + key)


async def _raise_cut(block: Block, key: str) -> None:
    raise BlockError(f"The provider said: {key}"[:-5] + "…")


async def _print(block: Block, key: str) -> None:
    print(f"printed {key}")
    print(key, file=sys.stderr)


async def _log(block: Block, key: str) -> None:
    logging.getLogger("leaks").error("logged %s", key, extra={"key": key})
    try:
        raise ValueError(key)
    except ValueError:
        logging.getLogger("leaks").exception("with its traceback")


async def _report(block: Block, key: str) -> None:
    block.report_usage(input_tokens=1, model=key)


async def _ask(block: Block, key: str) -> None:
    await block.ask_approval(f"Is {key} good?", data={"key": key, key: 1}, key=key[:50])


async def _await_event(block: Block, key: str) -> None:
    await block.wait_for_event(key, where={"key": key}, timeout_s=3600)


DOES: dict[str, Callable[[Block, str], Awaitable[None]]] = {
    "raises": _raise,
    "raises and is tried again": _raise_once,
    "crashes": _crash,
    "raises at the edge": _raise_at_the_edge,
    "raises cut": _raise_cut,
    "prints": _print,
    "logs": _log,
    "reports": _report,
    "asks": _ask,
    "waits": _await_event,
}
WAYS = [*RETURNS, *DOES, "pieces"]
LEAKY: list[type[Block]] = [Leaks]
