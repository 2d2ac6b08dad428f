"""The base class of every block, and what the platform promises to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from blocks.jsonable import clean_text
from blocks.sdk import waiting
from blocks.sdk.errors import BlockError
from blocks.sdk.files import FileContent, FileRef, NewFile
from blocks.sdk.kinds import BlockType, Effects, Placement
from blocks.sdk.sub_graph import SubGraph
from blocks.sdk.waiting import Approval, TimeoutAction

if TYPE_CHECKING:
    from pydantic import BaseModel

    from blocks.sdk.context import BlockContext, Credentials
    from blocks.sdk.cost import BlockCostConfig
    from blocks.sdk.example import Example
    from blocks.sdk.retry import Retry

_NO_DEFAULT: Final = object()


class Block:
    """One kind of work. A node of a graph is a block with some of its pins filled in.

    A new instance is made for every firing, so a block may keep what it likes on `self`.
    """

    #: Written once and never changed: stored graphs refer to it.
    id: ClassVar[str]
    name: ClassVar[str]
    description: ClassVar[str]
    block_type: ClassVar[BlockType] = BlockType.STANDARD
    input_schema: ClassVar[type[BaseModel]]
    output_schema: ClassVar[type[BaseModel]]
    placement: ClassVar[Placement] = Placement.IO
    effects: ClassVar[Effects] = Effects.NONE
    disabled: ClassVar[bool] = False
    #: Seconds after which a firing is stopped with `TIMEOUT`; None takes the platform's limit.
    timeout_s: ClassVar[float | None] = None
    #: What is tried again by itself, unless the node says otherwise; None lets every failure stand.
    retry: ClassVar[Retry | None] = None
    credentials_required: ClassVar[Sequence[str]] = ()
    cost_config: ClassVar[BlockCostConfig | None] = None
    examples: ClassVar[Sequence[Example]] = ()
    #: Output pins that are streams: their items open a level of the item path, also when there is one item or none.
    streams: ClassVar[frozenset[str]] = frozenset()
    #: Output pins on which every firing that succeeds yields once: a start that can not pay for what follows is refused at once.
    always_yields: ClassVar[frozenset[str]] = frozenset()
    #: The input pin that takes one level off the item path and receives the list of its items.
    gathers: ClassVar[str | None] = None

    def __init__(self, context: BlockContext | None = None) -> None:
        self._context = context
        self._calls = waiting.Calls()
        self._has_asked = False

    @property
    def context(self) -> BlockContext:
        """Return the platform's side of this firing.

        Raises:
            BlockError: the block was made without one.
        """
        if self._context is None:
            raise BlockError("This block runs outside the platform and has no context.", code="NO_CONTEXT")
        return self._context

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of this firing."""
        return self.context.idempotency_key

    def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Do the work: yield `(output pin, value)` as often as needed.

        Raises:
            BlockError: the work can not be done; any other exception is stored as `BLOCK_CRASHED`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define execute().")

    async def get_credentials(self, provider: str) -> Credentials:
        """Return the credential this node uses for `provider`."""
        return await self.context.get_credentials(provider)

    @asynccontextmanager
    async def in_turn(self, credentials: Credentials, *, holds_back: bool = True) -> AsyncIterator[None]:
        """Ask with a credential, within the limit that all share who do; without a limit that is nothing.

        Raising `BlockError` with the code `RATE_LIMITED` and a `retry_after_s` inside holds all of them back for so long, if it is to. A
        long wait suspends the firing, unless it has asked before.

        Raises:
            RateLimiterUnavailable: the server that counts does not answer.
        """
        limiter = credentials.rate_limiter
        if limiter is None:
            yield
            return
        await limiter.acquire(may_leave=not self._has_asked)
        self._has_asked = True
        try:
            yield
        except BlockError as error:
            if holds_back and error.code == "RATE_LIMITED" and error.retry_after_s:
                await limiter.hold_back(error.retry_after_s)
            raise
        finally:
            limiter.release()

    def report_usage(self, **amounts: int | float | str) -> None:
        """Report what was used, e.g. `input_tokens=12, output_tokens=3, model="gpt-4o"`; reports add up."""
        self.context.usage.add(**amounts)

    async def wait_for(self, seconds: float, *, key: str | None = None) -> None:
        """Let some time pass, a year at most.

        Beyond 30 seconds nothing is held meanwhile: `execute` begins anew after it, and comes past here at once.

        Raises:
            BlockError: so long can not be waited (`WAIT_INVALID`).
        """
        await self.context.wait(waiting.timer(self._calls.next(key), seconds))

    async def wait_until(self, moment: datetime, *, key: str | None = None) -> None:
        """Let the time pass until a moment, at most a year away; like `wait_for`.

        Raises:
            BlockError: so long can not be waited, or the moment has no time zone (`WAIT_INVALID`).
        """
        await self.context.wait(waiting.timer_until(self._calls.next(key), moment))

    async def ask_approval(
        self,
        title: str,
        form: type[BaseModel] | None = None,
        *,
        data: Any = None,
        editable: bool = False,
        users: Sequence[int | str] = (),
        groups: Sequence[int | str] = (),
        timeout_s: float | None = None,
        on_timeout: TimeoutAction = "fail",
        key: str | None = None,
    ) -> Approval:
        """Ask a person, and return what they said; `execute` then begins anew and comes past here with the answer.

        Users and groups are named, or given by id; without any, the owner of the execution is asked. `data` is shown to them, and theirs to
        change if it is `editable`.

        Raises:
            BlockError: nobody answered in time (`APPROVAL_TIMED_OUT`); somebody who is named does not exist (`APPROVER_UNKNOWN`);
                it can not be asked like this (`WAIT_INVALID`).
        """
        wait = waiting.approval(
            self._calls.next(key),
            title,
            form,
            data=data,
            editable=editable,
            users=users,
            groups=groups,
            timeout_s=timeout_s,
            on_timeout=on_timeout,
        )
        return waiting.approval_from(await self.context.wait(wait), form)

    def approval_of(self, key: str, form: type[BaseModel] | None = None) -> Approval | None:
        """Return what a person said to the approval of this key, if it was asked for before; None if not.

        `execute` begins anew once it was answered: what led to the question, and was shown with it, need not be found out again.

        Raises:
            BlockError: as `ask_approval`.
        """
        came = self.context.came_for(waiting.key_of(key))
        return None if came is None else waiting.approval_from(came, form)

    async def wait_for_event(
        self,
        name: str,
        *,
        where: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        default: Any = _NO_DEFAULT,
        key: str | None = None,
    ) -> Any:
        """Return what comes with the next event of this name that contains `where`; one that came earlier is not kept.

        Raises:
            BlockError: it did not come in time, and there is no default (`EVENT_TIMED_OUT`); there is no such wait (`WAIT_INVALID`).
        """
        came = await self.context.wait(waiting.event(self._calls.next(key), name, where=where, timeout_s=timeout_s))
        if not waiting.is_timed_out(came):
            return came["answer"]
        if default is _NO_DEFAULT:
            raise BlockError(
                f"The event {name!r} did not come in time.",
                code="EVENT_TIMED_OUT",
                hint="Give it more time, or a default.",
            )
        return default

    async def execute_subgraph(
        self,
        *,
        graph_id: str | UUID | None = None,
        version_id: str | UUID | None = None,
        inputs: Mapping[str, Any] | None = None,
        optional: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Run another graph of the same owner as a part of this firing, and return its outputs by name.

        The newest published version is run, unless `version_id` names another. `optional` inputs are given only where the graph declares
        them. When the block runs again, after a crash or a wait, the execution that this call has started is found and not started anew:
        by `key`, or without one by the number of the call among those of this firing and by what it asks for.

        Raises:
            BlockError: with the code of the sub-graph's own failure; it was cancelled (`CHILD_CANCELLED`); it is nested too deep
                (`RECURSION_LIMIT`); too many were started (`CHILD_LIMIT`); there is no such graph (`GRAPH_NOT_FOUND`); the inputs
                do not fit it (`EXECUTION_INPUTS_INVALID`).
        """
        return await self.context.execute_subgraph(
            SubGraph(str(graph_id or ""), str(version_id or ""), inputs or {}, optional or {}, key)
        )

    async def read_file(self, file: FileRef | str | UUID, *, max_bytes: int | None = None) -> FileContent:
        """Return what is in a file. It is held in memory: without `max_bytes`, one as large as a value may be is read.

        Raises:
            AppError: it is not there any more, or somebody else's (`FILE_GONE`); it is larger than that (`FILE_TOO_LARGE`).
            BlockError: there is no such id (`FILE_GONE`).
        """
        try:
            file_id = file.file_id if isinstance(file, FileRef) else UUID(str(file))
        except ValueError:
            raise BlockError(f"{file!r} is no id of a file.", code="FILE_GONE") from None
        return await self.context.read_file(file_id, max_bytes=max_bytes)

    async def write_file(
        self,
        name: str,
        content: str | bytes,
        *,
        content_type: str = "",
        expires_in_s: float | None = None,
        key: str | None = None,
    ) -> FileRef:
        """Keep a file of the execution's owner, without secrets, and return what refers to it: a value for a pin of the type `FileRef`.

        When the block runs again, after a crash or a wait, the file is written anew in its place: found by `key`, or without one by its
        number among those that this firing writes.

        Raises:
            AppError: it is too large (`FILE_TOO_LARGE`), or its owner has too much (`FILE_QUOTA_EXCEEDED`).
        """
        raw = clean_text(content).encode() if isinstance(content, str) else bytes(content)
        return await self.context.write_file(NewFile(name, raw, content_type, expires_in_s, key))

    async def execute_agent(
        self, *, agent_id: str | UUID, inputs: Mapping[str, Any] | None = None, key: str | None = None
    ) -> dict[str, Any]:
        """Run another agent as a part of this firing, and return its outputs by name. An agent is a graph: see `execute_subgraph`."""
        return await self.execute_subgraph(graph_id=agent_id, inputs=inputs, key=key)
