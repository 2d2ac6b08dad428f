"""The durable floor: bare asyncio in one process, with one Postgres commit per execution and nothing else."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import psycopg

from agentplatform.lib.ids import uuid7
from benchmarks.cases import FIBO_N, WAIT_S, Case, Work, case_named
from benchmarks.fibo import fibo
from benchmarks.memory import own_rss_mb
from benchmarks.system import RUN_WITHIN_S, WrongResult

#: Commits that may be under way at once.
CONNECTIONS = 4

TABLES = """
CREATE TABLE IF NOT EXISTS floor_execution (id uuid PRIMARY KEY, status text NOT NULL, result int NOT NULL);
CREATE TABLE IF NOT EXISTS floor_node_execution (
    execution_id uuid NOT NULL, node int NOT NULL, status text NOT NULL, output jsonb NOT NULL,
    PRIMARY KEY (execution_id, node)
);
"""
STORE = """
WITH execution AS (INSERT INTO floor_execution VALUES (%(id)s, 'SUCCEEDED', %(result)s))
INSERT INTO floor_node_execution
SELECT %(id)s, node, 'SUCCEEDED', output FROM jsonb_array_elements(%(outputs)s) WITH ORDINALITY AS o (output, node)
"""


class Floor:
    """A coroutine for each node; the execution and its node executions are stored by one statement at the end."""

    name = "floor"

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._loop = asyncio.Runner()
        self._connections: list[psycopg.AsyncConnection[Any]] = []
        self._idle: asyncio.LifoQueue[psycopg.AsyncConnection[Any]] = asyncio.LifoQueue()
        self._results: list[int] = []
        self._loop.run(self._connect())

    def prepare(self, case: Case) -> None:
        """Nothing is kept between runs."""

    def run_once(self, case: Case) -> None:
        """Execute all executions of the case, each ended by its own commit."""
        self._results = self._loop.run(self._execute_all(case))

    def verify(self, case: Case) -> None:
        """Compare the results, and what was stored last, with what the case asks for."""
        if self._results != [case.expected] * case.executions:
            raise WrongResult(f"floor gave {self._results[:3]} for {case.name}, not {case.expected}.")

    def rss_mb(self) -> float:
        """Return the memory of a process that runs the floor alone."""
        command = [sys.executable, "-m", "benchmarks.floor", self._dsn]
        return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout)

    def close(self) -> None:
        """Close the connections and the event loop."""
        self._loop.run(self._disconnect())
        self._loop.close()

    async def _connect(self) -> None:
        for _ in range(CONNECTIONS):
            connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, prepare_threshold=0)
            self._connections.append(connection)
            self._idle.put_nowait(connection)
        for statement in TABLES.split(";\n"):
            await self._connections[0].execute(statement)

    async def _disconnect(self) -> None:
        for connection in self._connections:
            await connection.close()

    async def _execute_all(self, case: Case) -> list[int]:
        async with asyncio.timeout(RUN_WITHIN_S):
            return await asyncio.gather(*(self._execute(case) for _ in range(case.executions)))

    async def _execute(self, case: Case) -> int:
        outputs = await (_chain(case) if case.shape == "chain" else _fan(case))
        connection = await self._idle.get()
        try:
            # Autocommit: one statement is one transaction, hence one commit.
            await connection.execute(STORE, {"id": uuid7(), "result": outputs[-1], "outputs": json.dumps(outputs)})
        finally:
            self._idle.put_nowait(connection)
        return outputs[-1]


async def _node(work: Work, value: int) -> int:
    if work == "wait":
        await asyncio.sleep(WAIT_S)
    return value + fibo(FIBO_N) if work == "fibo" else value


async def _chain(case: Case) -> list[int]:
    outputs = [0]
    for _ in range(case.size):
        outputs.append(await asyncio.create_task(_node(case.work, outputs[-1])))
    return outputs[1:]


async def _fan(case: Case) -> list[int]:
    """A source, `size` nodes beside each other, and a join that counts them; a diamond is a narrow fan."""
    source = await asyncio.create_task(_node("noop", 0))
    branches = await asyncio.gather(*(_node(case.work, item) for item in range(case.size)))
    return [source, *branches, len(branches)]


def _print_rss(dsn: str) -> None:
    floor = Floor(dsn)
    floor.run_once(case_named("chain10"))
    floor.close()
    print(own_rss_mb())


if __name__ == "__main__":
    _print_rss(sys.argv[1])
