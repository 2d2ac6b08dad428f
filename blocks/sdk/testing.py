"""Running one block in memory, for its author's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from agentplatform.lib.credential_hosts import hosts_of
from blocks.registry import validate_input, validate_output
from blocks.sdk import Block, BlockError, Credentials, Example, Usage
from blocks.sdk.files import FileContent, FileRef, NewFile
from blocks.sdk.sub_graph import SubGraph
from blocks.sdk.waiting import Suspended, WaitFor, slept
from integrations.ratelimit import RateLimiter


@dataclass(frozen=True, slots=True)
class KnownCredentials:
    """A credential that a test hands out; it may be sent to its own address, or where `hosts` says."""

    api_key: str = "test-key"
    base_url: str = ""
    kind: str = "api_key"
    username: str = ""
    password: str = ""
    access_token: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    rate_limiter: RateLimiter | None = None

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Return where it may be sent."""
        return self.hosts or hosts_of(self.base_url)


@dataclass(slots=True)
class MemoryContext:
    """The platform's side of a firing, without a platform."""

    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str = "test-firing"
    usage: Usage = field(default_factory=Usage)
    #: By call key (`wait-0` is the first), what comes for each wait: `{"answer": …}` or `{"status": "TIMED_OUT"}`.
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: By id, what a graph does: a function from its inputs to its outputs, or the outputs of each call in order.
    sub_graphs: Mapping[str, Callable[[dict[str, Any]], Any] | Sequence[Any]] = field(default_factory=dict)
    #: The sub-graphs that were called, in order.
    called: list[SubGraph] = field(default_factory=list)
    #: By id, what is in the files that it may read, and those that it has written.
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    written: dict[UUID, NewFile] = field(default_factory=dict)
    #: What was shown while it was made: the pieces of each text, in order.
    showed: list[list[str]] = field(default_factory=list)

    async def get_credentials(self, provider: str) -> Credentials:
        """Return the test's credential for `provider`.

        Raises:
            BlockError: the test gave none.
        """
        if provider not in self.credentials:
            raise BlockError(f"There is no credential for {provider}.", code="CREDENTIAL_MISSING")
        return self.credentials[provider]

    async def wait(self, wait: WaitFor) -> Any:
        """Return the test's answer to this wait.

        Raises:
            Suspended: the test gave none, and it is not over soon by itself.
        """
        if (came := self.came_for(wait.call_key)) is not None:
            return {"data": wait.data} | came | {"timeout_action": wait.timeout_action}
        if not await slept(wait):
            raise Suspended(wait)
        return None

    def came_for(self, call_key: str) -> Any:
        """Return the test's answer to a wait, or None."""
        if call_key not in self.answers:
            return None
        nobody = {"status": "ANSWERED", "answer": None, "answered_by": "", "comment": "", "timeout_action": "fail"}
        return nobody | dict(self.answers[call_key])

    async def execute_subgraph(self, call: SubGraph) -> dict[str, Any]:
        """Return what the test says that a graph gives; an error among its outputs is raised.

        Raises:
            BlockError: the test knows no such graph.
        """
        known = self.sub_graphs.get(call.graph_id)
        if known is None:
            raise BlockError(f"There is no graph {call.graph_id!r}.", code="GRAPH_NOT_FOUND")
        number = sum(one.graph_id == call.graph_id for one in self.called)
        self.called.append(call)
        gives = known({**call.optional, **call.inputs}) if callable(known) else known[number]
        if isinstance(gives, Exception):
            raise gives
        return dict(gives)

    async def read_file(self, file_id: UUID, *, max_bytes: int | None) -> FileContent:
        """Return what the test says that is in a file, or what was written before.

        Raises:
            BlockError: the test knows no such file.
        """
        if new := self.written.get(file_id):
            return FileContent(new.name, new.content_type, new.content)
        if str(file_id) not in self.files:
            raise BlockError(f"The file {file_id} is not there.", code="FILE_GONE")
        content = self.files[str(file_id)]
        raw = content.encode() if isinstance(content, str) else content
        return FileContent(str(file_id), "application/octet-stream", raw)

    async def write_file(self, new: NewFile) -> FileRef:
        """Keep a file as long as the test lasts."""
        file_id = uuid5(NAMESPACE_OID, f"{self.idempotency_key} {new.key or len(self.written)}")
        self.written[file_id] = new
        return FileRef(file_id=file_id, name=new.name, content_type=new.content_type, size=len(new.content))

    @contextmanager
    def shown(self) -> Iterator[Callable[[str], None]]:
        """Keep what is shown."""
        self.showed.append([])
        yield self.showed[-1].append

    def setting(self, name: str) -> Any:
        """Return a setting of the test, or None."""
        return self.settings.get(name)


async def run_block(
    block: type[Block], given: Mapping[str, Any], *, context: MemoryContext | None = None
) -> list[tuple[str, Any]]:
    """Run `block` once and return the pairs it yields, checked as the platform checks them.

    Raises:
        AppError: an input or an output does not fit, or the block says that it can not do its work.
    """
    input_data = validate_input(block, given)
    running = block(context or MemoryContext()).execute(input_data)
    return [(pin, validate_output(block, pin, value)) async for pin, value in running]


def is_as_said(pairs: Sequence[tuple[str, Any]], example: Example) -> bool:
    """Return whether a block yielded what its example gives; `...` in the example stands for any value."""
    expected = list(example.gives)
    return len(pairs) == len(expected) and all(
        pin == said_pin and said in (..., value) for (pin, value), (said_pin, said) in zip(pairs, expected, strict=True)
    )
