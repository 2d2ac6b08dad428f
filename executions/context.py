"""The platform's side of one firing: what a running block may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings

from agentplatform.lib import masking
from agentplatform.lib.masking import Mask
from blocks.sdk import BlockError, FileContent, FileRef, Placement, Usage
from blocks.sdk.files import NewFile
from blocks.sdk.sub_graph import SubGraph
from blocks.sdk.waiting import Suspended, WaitFor, slept
from executions import asking, attachments, quotes
from executions.asking import prepared
from executions.batch import NO_CHILDREN, ChildCosts
from executions.begun import Begun
from executions.calls import Calls, calls_of, failure_of, may_have_called
from executions.children import Child
from executions.engine.status import Status
from executions.live.pieces import shown
from integrations import oauth
from integrations.opened import OpenCredential
from integrations.services import open_credential

READABLE_SETTINGS = frozenset({"OPENAI_MODEL"})


@dataclass(slots=True)
class FiringContext:
    """Fulfils `blocks.sdk.BlockContext` for one attempt of one firing."""

    begun: Begun
    usage: Usage = field(default_factory=Usage)
    #: What the sub-graphs of the firing have cost, once the attempt is closed.
    children: ChildCosts = NO_CHILDREN
    #: It was told to suspend the firing, whatever its block makes of that.
    suspended: WaitFor | None = None
    #: Of its owner's secrets, and what it has opened itself: nothing of the firing is stored before it went through here.
    mask: Mask = field(init=False)
    #: The credentials it has opened, by whether they are the owner's own.
    keys: set[bool] = field(default_factory=set)
    #: So many texts it has shown while they were made.
    texts: int = 0
    _calls: Calls | None = None
    #: Of the files it has written, which are kept if it succeeds.
    files: list[UUID] = field(default_factory=list)
    _turns: int = 0
    _files: int = 0

    def __post_init__(self) -> None:
        self.mask = self.begun.mask.copy()

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of this firing."""
        return self.begun.idempotency_key

    async def wait(self, wait: WaitFor) -> Any:
        """Return what came for this wait, or suspend the firing until it comes.

        Raises:
            BlockError: the block only computes; it waited for something else at this place before; nobody could answer.
        """
        mask = self.mask
        wait = replace(
            wait,
            call_key=mask.text(wait.call_key),
            title=mask.text(wait.title),
            data=mask.value(wait.data),
            form=mask.value(wait.form),
            event=mask.text(wait.event),
        )
        if (came := self.begun.answers.get(wait.call_key)) is not None:
            return _of_the_same_kind(came, wait)
        # Its firings are not known to anybody before they end.
        if self.begun.node.block.placement is Placement.INLINE:
            raise BlockError(
                f"The block {self.begun.node.block_id} waits, but says that it only computes.",
                code="INLINE_BLOCK_WAITS",
                hint="Declare placement = Placement.IO.",
            )
        if await slept(wait):
            return None
        self.suspended = await prepared(wait)
        raise Suspended(self.suspended)

    def came_for(self, call_key: str) -> Any:
        """Return what came for a wait of this firing, or None where nothing has come or nobody has waited."""
        return self.begun.answers.get(self.mask.text(call_key))

    def next_holder(self) -> str:
        """Return who it is at its next rate limiter: the same one when it begins again after a wait, another one in another attempt."""
        self._turns += 1
        return f"{self.idempotency_key}/{self.begun.course.attempt}/{self._turns}"

    async def come_back(self, seconds: float, *, holder: str, time: int) -> None:
        """Suspend the firing until its turn at a rate limiter; return at once if it has been suspended for that already."""
        await self.wait(WaitFor("TIMER", f"turn-{holder.rpartition('/')[2]}-{time}", due_in_s=seconds))

    async def execute_subgraph(self, call: SubGraph) -> dict[str, Any]:
        """Return the outputs of a sub-graph once it has succeeded.

        Raises:
            BlockError: it failed, was cancelled, or could not be started.
        """
        child = await self.run_sub_graph(call)
        if child.status != Status.SUCCEEDED:
            raise failure_of(child)
        return child.outputs

    async def run_sub_graph(self, call: SubGraph) -> Child:
        """Return a sub-graph once it has ended, however it did.

        Raises:
            BlockError: it could not be started.
        """
        if self._calls is None:
            self._calls = calls_of(self.begun)
            self.begun.course.has_called = True
        masked = replace(
            call,
            inputs=self.mask.value(call.inputs),
            optional=self.mask.value(call.optional),
            key=self.mask.text(call.key) if call.key else call.key,
        )
        try:
            return await self._calls.run(masked)
        except Suspended as suspended:
            self.suspended = suspended.wait
            raise

    def let_go(self) -> None:
        """End what the block has left behind."""
        if self._calls is not None:
            self._calls.let_go()

    async def close(self, *, go_on: bool) -> None:
        """End what the block has left behind, and find out what the sub-graphs of the firing have cost.

        Those that have not ended are stopped, unless the firing is to go on later.
        """
        if self._calls is None and may_have_called(self.begun):
            self._calls = calls_of(self.begun)
        if self._calls is not None:
            self.children = self._calls.costs
            self.children = await self._calls.close(go_on=go_on)

    @property
    def is_own_key(self) -> bool:
        """Say whether it has asked providers with its owner's own keys only: who pays them pays the platform nothing."""
        return self.keys == {True}

    async def get_credentials(self, provider: str) -> OpenCredential:
        """Return the credential that the node names for `provider`, else its owner's, else the platform's own.

        Whose it is, is looked at again now: what was theirs when the graph was saved may not be any more.

        Raises:
            AppError: there is none, or only the platform's own, for which nothing was set aside (`CREDENTIAL_MISSING`); it has expired, is
                not there any more, or has no token and can get none.
        """
        credential = await asking.looked_up(
            partial(
                open_credential,
                owner_id=self.begun.family.owner_id,
                provider=str(provider),
                credential_id=self.begun.node.credentials.get(str(provider)),
            )
        )
        if not credential.is_own and self._is_unheld:
            await asking.looked_up(partial(quotes.refuse_unheld, self.begun.node, self.begun.values))
        if credential.is_stale:
            credential = await oauth.refreshed(credential, asking.looked_up)
        secrets = list(credential.secrets())
        self.mask.learn(secrets)
        masking.remember(secrets)
        self.keys.add(credential.is_own)
        return credential

    @property
    def _is_unheld(self) -> bool:
        """Say whether nothing was set aside for it, though its block has a price."""
        claim = self.begun.claim
        return quotes.costs(self.begun.node) and not (claim and claim.is_held_for)

    async def read_file(self, file_id: UUID, *, max_bytes: int | None) -> FileContent:
        """Return what is in a file of the execution's owner; whose it is, is looked at now.

        Raises:
            AppError: it is not there any more, or larger than that; the block only computes.
        """
        self._refuse_inline()
        read = partial(attachments.read, self.begun, file_id, max_bytes=max_bytes)
        return await asking.looked_up(read, threads=asking.FILING)

    async def write_file(self, new: NewFile) -> FileRef:
        """Keep a file of the execution's owner, without secrets.

        Raises:
            AppError: it is too large, or its owner has too much; the block only computes.
        """
        self._refuse_inline()
        number, self._files = self._files, self._files + 1
        write = partial(attachments.write, self.begun, new, number=number, mask=self.mask)
        written = await asking.looked_up(write, threads=asking.FILING)
        self.files.append(written.file_id)
        return written

    def _refuse_inline(self) -> None:
        if self.begun.node.block.placement is Placement.INLINE:
            raise BlockError(
                f"The block {self.begun.node.block_id} asks for a file, but says that it only computes.",
                code="INLINE_BLOCK_WAITS",
                hint="Declare placement = Placement.IO.",
            )

    def shown(self) -> AbstractContextManager[Callable[[str], None]]:
        """Yield what takes a text piece by piece, to show it to whoever watches; the secrets of this firing do not get through."""
        self.texts += 1
        place = {
            "node": self.begun.node.key,
            "path": self.begun.firing.path,
            "attempt": self.begun.course.attempt,
            "reply": self.texts,
        }
        return shown(self.begun.execution_id, place, self.mask)

    def setting(self, name: str) -> Any:
        """Return a setting that blocks may read, or None."""
        return getattr(settings, name, None) if name in READABLE_SETTINGS else None


#: The firing whose block runs here, if one does.
UNDER_WAY: ContextVar[FiringContext | None] = ContextVar("UNDER_WAY", default=None)


def _of_the_same_kind(came: Mapping[str, Any], wait: WaitFor) -> Mapping[str, Any]:
    if came["kind"] != wait.kind:
        raise BlockError(
            f"The wait {wait.call_key} was for {came['kind']}, and is for {wait.kind} now.",
            code="WAIT_CHANGED",
            hint="A block waits for the same, in the same order, each time it runs; or it gives its waits keys.",
        )
    return came
