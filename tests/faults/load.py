"""Starts executions through the API, as a customer would, remembers what was accepted, and waits until nothing moves any more."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from access import keyring
from access.scopes import Scope
from agentplatform.local.ports import LOOPBACK
from executions.engine.status import FINAL, Status
from executions.models import Execution
from tests.faults.shapes import Shape
from tests.faults.stack import Stack


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said."""

    status: int
    headers: Message
    body: Any


@dataclass(frozen=True, slots=True)
class Accepted:
    """An execution that the platform has promised to carry out."""

    id: UUID
    shape: Shape
    number: int


@dataclass
class Load:
    """What was asked of a stack so far."""

    stack: Stack
    accepted: list[Accepted] = field(default_factory=list)
    refused: list[Answer] = field(default_factory=list)
    _keys: dict[int, str] = field(default_factory=dict)

    @property
    def ids(self) -> list[UUID]:
        """Return the ids of everything that was accepted."""
        return [one.id for one in self.accepted]

    def begin(self, shape: Shape, count: int = 1) -> list[UUID]:
        """Start so many executions, each with a number of its own; all must be accepted."""
        begun = [self.ask(shape) for _ in range(count)]
        assert all(isinstance(one, Accepted) for one in begun), begun
        return [one.id for one in begun if isinstance(one, Accepted)]

    def ask(self, shape: Shape, *, timeout_s: float = 30.0) -> Accepted | Answer:
        """Start one execution. Return it, or what was answered instead.

        Raises:
            OSError, http.client.HTTPException: there was no answer.
        """
        number = len(self.accepted)
        asked = {"version": str(shape.version_id), "inputs": {"number": number}}
        answer = self.call("POST", "/api/v1/executions/", asked, owner_id=shape.owner_id, timeout_s=timeout_s)
        if answer.status != 202:
            self.refused.append(answer)
            return answer
        accepted = Accepted(UUID(answer.body["id"]), shape, number)
        self.accepted.append(accepted)
        return accepted

    def call(self, method: str, path: str, body: Any = None, *, owner_id: int, timeout_s: float = 30.0) -> Answer:
        """Ask the API as one of its users."""
        headers = {"Authorization": f"Bearer {self._key(owner_id)}", "Content-Type": "application/json"}
        asked = http.client.HTTPConnection(LOOPBACK, self.stack.web_port, timeout=timeout_s)
        try:
            asked.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = asked.getresponse()
            text = answer.read().decode()
        finally:
            asked.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return Answer(answer.status, answer.headers, json.loads(text) if is_json else text)

    def wait(self, *, within_s: float = 90.0, ids: Collection[UUID] | None = None) -> None:
        """Wait until every execution has ended, or visibly waits for somebody."""
        deadline = time.monotonic() + within_s
        wanted = set(self.ids if ids is None else ids)
        while wanted:
            self.stack.look()
            wanted -= idle(wanted)
            if wanted and time.monotonic() > deadline:
                logs = "\n".join(f"{name}:\n{member.tail(12)}" for name, member in self.stack.members.items())
                raise AssertionError(f"Not at rest within {within_s:g} s:\n{described(wanted)}\n{logs}")
            time.sleep(0.05 if wanted else 0)

    def _key(self, owner_id: int) -> str:
        if owner_id not in self._keys:
            self._keys[owner_id] = keyring.issue(owner_id=owner_id, name="load", scopes=list(Scope))[1]
        return self._keys[owner_id]


def idle(ids: Iterable[UUID]) -> set[UUID]:
    """Return those of these executions that have ended or wait for somebody; none while the database does not answer."""
    resting = Execution.objects.filter(pk__in=list(ids), status__in=[*FINAL, Status.WAITING])
    try:
        return set(resting.values_list("id", flat=True))
    except (OperationalError, InterfaceError):
        connection.close()
        return set()


def described(ids: Iterable[UUID]) -> str:
    """Return how these executions stand, for whoever has to find out why."""
    lines = []
    for execution in Execution.objects.filter(pk__in=list(ids)).order_by("id")[:10]:
        sent = f"launched {execution.launches} times, at {execution.launched_at}"
        lines.append(f"{execution.pk} {execution.status} segments {execution.segments_done} {sent}")
        rows = execution.node_executions.order_by("queued_at")
        lines += [
            f"    {row.node_key}{row.item_path} {row.status} attempt {row.attempt} by {row.worker} until {row.lease_expires_at}"
            for row in rows
        ]
    return "\n".join(lines)
