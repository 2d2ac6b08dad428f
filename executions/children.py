"""The executions that firings start as sub-graphs: their ids, their rows, and what they cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from pydantic_core import from_json

from agentplatform.lib.errors import AppError
from blocks.jsonable import jsonable
from executions import keys, statements
from executions.batch import NO_CHILDREN, ChildCosts
from executions.engine.items import Path
from executions.engine.status import FINAL, Status
from executions.errors import ChildLimitReached, InputsInvalid, NestedTooDeep, NotRunning
from executions.inputs import checked_inputs, declared_inputs
from executions.plans import plan_of
from graphs import services as graph_services
from graphs.errors import GraphNotFound, NotPublished
from graphs.models import Graph, GraphVersion

MAX_KEY_LENGTH = 200
#: Of an id, what is left beside its time: that a child shares with its parent, so both live in the same month.
RANDOM_BITS = 80


@dataclass(slots=True)
class Caller:
    """A firing that starts sub-graphs."""

    execution_id: UUID
    node_key: str
    path: Path
    fence: int
    owner_id: int
    depth: int
    #: How often it has failed under this claim: what failed then is begun anew.
    failures: int = 0
    #: The same under earlier claims, once it is known.
    earlier_failures: int | None = None
    #: It has lived before: under another lease, or before a wait.
    has_past: bool = False
    #: The graph and version that a call meant here when it was first asked for: one firing runs one version of a graph.
    versions: dict[str, tuple[UUID, UUID]] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a sub-graph by a firing."""

    caller: Caller
    key: str
    #: The block chose the key; else it is a number, and what is asked for is a part of what the call is.
    is_named: bool
    graph_id: str = ""
    version_id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    optional: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Child:
    """Where a sub-graph stands."""

    id: UUID
    graph_id: UUID
    version_id: UUID
    status: Status
    is_paused: bool
    segments_done: tuple[int, ...]
    plan_mark: str
    outputs: dict[str, Any]
    error: dict[str, str]
    error_node: str
    graph_name: str
    costs: ChildCosts

    @property
    def is_final(self) -> bool:
        """Say whether it has ended."""
        return self.status in FINAL

    @property
    def can_go_on(self) -> bool:
        """Say whether something of it may be waiting for a worker only."""
        return self.status in (Status.QUEUED, Status.RUNNING) and not self.is_paused


def child_id(call: Call, retry: int = 0) -> UUID:
    """Return the id of the execution that a call starts: the same each time, so that it is never started twice.

    Raises:
        ValueError, RecursionError: the call has no key, and what it is given has no JSON form.
    """
    caller = call.caller
    asked = None if call.is_named else jsonable([call.graph_id, call.version_id, call.inputs, call.optional])
    identity = [str(caller.execution_id), caller.node_key, caller.path, call.key, asked, retry]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
    random_bits = int.from_bytes(digest) & ((1 << RANDOM_BITS) - 1)
    id_ = caller.execution_id.int >> RANDOM_BITS << RANDOM_BITS | random_bits
    return UUID(int=id_ & ~(0xF << 76 | 0b11 << 62) | 0x7 << 76 | 0b10 << 62)


def begin(calls: Sequence[Call]) -> list[Child | AppError]:
    """Return, for each call, the sub-graph it has started before or starts now; or why it can not.

    That may be: `NestedTooDeep`, `ChildLimitReached`, `GraphNotFound`, `NotPublished`, `InputsInvalid`, `CredentialsMissing`;
    `NotRunning` where the firing is not the caller's any more, or its execution has been told to stop.
    """
    _recall_failures([call.caller for call in calls])
    tries = [_tries(call) for call in calls]
    # A firing that has not lived before has started nothing: should it name one call twice, the insert finds that out.
    asked = {one for call, its in zip(calls, tries, strict=True) if call.caller.has_past for one in its}
    known = {child.id: child for child in _read(asked)}
    answers: list[Child | AppError | None] = [_best(call, its, known) for call, its in zip(calls, tries, strict=True)]
    new = [place for place, answer in enumerate(answers) if answer is None]
    for place, begun in zip(new, _begin_new([(calls[place], tries[place]) for place in new]), strict=True):
        answers[place] = begun
    return [answer for answer in answers if answer is not None]


def look_at(ids: Sequence[UUID]) -> list[Child]:
    """Return where these sub-graphs stand."""
    by_id = {child.id: child for child in _read(set(ids))}
    return [by_id[one] for one in ids]


def costs_of(callers: Sequence[Caller]) -> list[ChildCosts]:
    """Return what the sub-graphs of each firing have cost, all that it ever started."""
    with statements.cursor() as cursor:
        statements.run(cursor, "child_costs", callers=_places(callers))
        found = {(row[0], row[1], tuple(row[2])): ChildCosts(*row[3:]) for row in cursor}
    return [found.get((one.execution_id, one.node_key, one.path), NO_CHILDREN) for one in callers]


def unfinished(callers: Sequence[Caller]) -> list[list[tuple[UUID, Status]]]:
    """Return, for each firing, the sub-graphs it has started that have not ended, and where they stand."""
    found: dict[tuple[UUID, str, Path], list[tuple[UUID, Status]]] = {}
    with statements.cursor() as cursor:
        statements.run(cursor, "child_unfinished", callers=_places(callers))
        for execution_id, key, path, id_, status in cursor:
            found.setdefault((execution_id, key, tuple(path)), []).append((id_, Status(status)))
    return [found.get((one.execution_id, one.node_key, one.path), []) for one in callers]


def version_of(owner_id: int, *, graph_id: str = "", version_id: str = "") -> tuple[UUID, UUID]:
    """Return the graph and the version that a call means: the version it names, or the newest published one of the graph.

    Raises:
        GraphNotFound: the owner has no such graph, or that has no such published version.
        NotPublished: no version of the graph is published.
    """
    if not (graph_id or version_id):
        raise GraphNotFound("No graph is named.")
    try:
        named: dict[str, Any] = {"pk": UUID(version_id)} if version_id else {}
        named |= {"graph_id": UUID(graph_id)} if graph_id else {}
    except ValueError:
        raise GraphNotFound(
            f"There is no graph {graph_id or version_id!r}.", hint="Give the id of one of your graphs."
        ) from None
    versions = GraphVersion.objects.published().filter(graph__owner_id=owner_id, **named)
    found = versions.values_list("graph_id", "pk").first()
    if found is None and not version_id and Graph.objects.filter(pk=graph_id, owner_id=owner_id).exists():
        raise NotPublished
    if found is None:
        raise GraphNotFound(f"There is no graph {graph_id or version_id!r}.", hint="Give the id of one of your graphs.")
    return found


def owner_of(graph_id: str) -> int:
    """Return whose a graph is.

    Raises:
        GraphNotFound: there is none.
    """
    return graph_services.find(graph_id).owner_id


def _recall_failures(callers: Iterable[Caller]) -> None:
    """Find out how often firings have failed under earlier claims. One that was cut short has not: it goes on where it was."""
    unknown = [caller for caller in callers if caller.has_past and caller.earlier_failures is None]
    if not unknown:
        return
    with statements.cursor() as cursor:
        statements.run(cursor, "caller_failures", callers=_places(unknown))
        found = {(execution_id, key, tuple(path)): count for execution_id, key, path, count in cursor}
    for caller in unknown:
        caller.earlier_failures = found.get((caller.execution_id, caller.node_key, caller.path), 0)


def _tries(call: Call) -> list[UUID]:
    """Return the ids that a call had, or has: one for each time its firing was tried again after it had failed."""
    failures = call.caller.failures + (call.caller.earlier_failures or 0)
    try:
        return [child_id(call, retry) for retry in range(failures + 1)]
    except (ValueError, RecursionError):
        # It is refused before it would be begun.
        return []


def _best(call: Call, tries: Sequence[UUID], known: Mapping[UUID, Child]) -> Child | None:
    """Return what stands of a call: what succeeded, else the present try, else an earlier one that still goes on."""
    found = [known[one] for one in tries if one in known]
    chosen = next((child for child in found if child.status == Status.SUCCEEDED), None)
    chosen = chosen or next((child for child in found if child.id == tries[-1] or not child.is_final), None)
    if chosen and not call.version_id:
        call.caller.versions.setdefault(call.graph_id, (chosen.graph_id, chosen.version_id))
    return chosen


def _begin_new(calls: Sequence[tuple[Call, Sequence[UUID]]]) -> list[Child | AppError]:
    """Start what has not been started."""
    prepared = [_prepared(call, tries) for call, tries in calls]
    records = [one | {"place": place} for place, one in enumerate(prepared) if isinstance(one, dict)]
    if not records:
        return [one for one in prepared if isinstance(one, AppError)]
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "begin_children",
            calls=statements.records(records),
            parents=list({call.caller.execution_id for call, _ in calls}),
            limit=settings.AGENTPLATFORM_MAX_CHILD_EXECUTIONS,
        )
        verdicts = {id_: (verdict, is_paused) for id_, verdict, is_paused in cursor}
    there = {child.id: child for child in _read({id_ for id_, (verdict, _) in verdicts.items() if verdict == "THERE"})}
    return [
        one if isinstance(one, AppError) else there.get(one["id"]) or _judged(one, *verdicts[one["id"]])
        for one in prepared
    ]


def _judged(record: dict[str, Any], verdict: str, is_paused: bool | None) -> Child | AppError:
    if verdict != "BEGUN":
        return ChildLimitReached() if verdict == "FULL" else NotRunning()
    return Child(
        id=record["id"],
        graph_id=record["graph_id"],
        graph_name="",
        version_id=record["version_id"],
        status=Status.QUEUED,
        is_paused=bool(is_paused),
        segments_done=(),
        plan_mark=record["plan_mark"],
        outputs={},
        error={},
        error_node="",
        costs=NO_CHILDREN,
    )


def _prepared(call: Call, tries: Sequence[UUID]) -> dict[str, Any] | AppError:
    """Return a call as the statement takes it, or why it can not be begun."""
    caller = call.caller
    try:
        if caller.depth >= settings.AGENTPLATFORM_MAX_DEPTH:
            raise NestedTooDeep
        if not tries:
            raise InputsInvalid("What the sub-graph is given is not a JSON value.")
        asked = call.version_id or call.graph_id
        if asked not in caller.versions:
            caller.versions[asked] = version_of(caller.owner_id, graph_id=call.graph_id, version_id=call.version_id)
        graph_id, version_id = caller.versions[asked]
        plan = plan_of(version_id)
        keys.refuse_missing(plan, caller.owner_id)
        declared = declared_inputs(plan)
        given = {name: value for name, value in call.optional.items() if name in declared}
        inputs = checked_inputs({**given, **call.inputs}, plan, owner_id=caller.owner_id)
    except AppError as error:
        return error
    return {
        "id": tries[-1],
        "parent_id": caller.execution_id,
        "parent_node": caller.node_key,
        "parent_path": caller.path,
        "fence": caller.fence,
        "call_key": call.key[:MAX_KEY_LENGTH],
        "graph_id": graph_id,
        "version_id": version_id,
        "inputs": inputs,
        "plan_mark": plan.mark,
    }


def _read(ids: Collection[UUID]) -> list[Child]:
    if not ids:
        return []
    with statements.cursor() as cursor:
        statements.run(cursor, "children", ids=list(ids))
        return [_as_child(row) for row in cursor]


def _as_child(row: tuple[Any, ...]) -> Child:
    id_, graph_id, graph_name, version_id, status, is_paused, done, mark, outputs, code, message, hint, node, *costs = (
        row
    )
    return Child(
        id=id_,
        graph_id=graph_id,
        graph_name=graph_name,
        version_id=version_id,
        status=Status(status),
        is_paused=is_paused,
        segments_done=tuple(done),
        plan_mark=mark,
        outputs=from_json(outputs),
        error={"code": code, "message": message, "hint": hint},
        error_node=node,
        costs=ChildCosts(*costs),
    )


def _places(callers: Iterable[Caller]) -> str:
    return statements.records(
        [{"parent_id": one.execution_id, "parent_node": one.node_key, "parent_path": one.path} for one in callers]
    )
