"""A TCP proxy that can be told to misbehave: it stands between a process of ours and the database or the broker."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from types import TracebackType
from typing import Any

from agentplatform.local.ports import LOOPBACK

CHUNK_BYTES = 262_144
#: To close so that the other side gets a reset instead of an orderly end.
LINGER_ZERO = struct.pack("ii", 1, 0)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Streams]]


class Mode(Enum):
    """What becomes of bytes, and of new connections."""

    PASS = auto()
    #: Every piece comes later by `delay_s`.
    DELAY = auto()
    #: Nothing comes through in either direction; what was sent meanwhile comes when it is healed, as over a network that is back.
    BLACKHOLE = auto()
    #: The server believes the connection gone, the client believes it well; when healed, the client is told.
    HALF_OPEN = auto()
    #: Every connection is reset at once.
    REFUSE = auto()


class ChaosProxy:
    """Passes connections on to a server, on a thread of its own. Every method may be called from any other thread."""

    def __init__(self, target: Open) -> None:
        self.port = 0
        self.mode = Mode.PASS
        self.delay_s = 0.0
        #: So many answers were swallowed by `lose_answer`.
        self.lost_answers = 0
        #: Of one piece that a client sent.
        self.most_bytes = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaosproxy", daemon=True)
        self._pairs: dict[_Pair, asyncio.Task[None]] = {}
        self._open = asyncio.Event()
        self._trap: tuple[bytes, int] | None = None
        self._after = b""
        self._bytes_left: int | None = None

    def __enter__(self) -> ChaosProxy:
        self._thread.start()
        self.port = self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, mode: Mode, *, delay_s: float = 0.0) -> None:
        """Misbehave like this from now on."""
        self._do(self._set(mode, delay_s))

    def heal(self) -> None:
        """Behave well again; what was held back arrives now."""
        self._trap, self._bytes_left = None, None
        self._do(self._set(Mode.PASS, 0.0))

    def reset(self) -> None:
        """Reset every connection there is; new ones are welcome."""
        self._do(self._reset())

    def cut_after(self, count: int) -> None:
        """Let so many more bytes reach the server, over all connections, then reset the connection that brings the next."""
        self._bytes_left = count

    def lose_answer(self, to: bytes, *, times: int = 1, after: bytes = b"") -> None:
        """Let the server have the next pieces that hold `to`, and cut the connection instead of bringing its answer.

        With `after`, only on connections over which that has come before, or with it.
        """
        self._trap, self._after = (to, times), after

    def lead_to(self, target: Open) -> None:
        """Lead new connections to another server from now on, as an address does that has moved."""
        self._target = target

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> int:
        self._open.set()
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0, backlog=256)
        return int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        self._server.close()
        await self._reset()

    async def _set(self, mode: Mode, delay_s: float) -> None:
        was, self.mode, self.delay_s = self.mode, mode, delay_s
        if mode in (Mode.PASS, Mode.DELAY):
            self._open.set()
        else:
            self._open.clear()
        if mode is Mode.HALF_OPEN:
            for pair in self._pairs:
                pair.forsake()
        if mode is Mode.REFUSE or was is Mode.HALF_OPEN:
            await self._reset()

    async def _reset(self) -> None:
        tasks = list(self._pairs.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._pairs[pair] = task
        try:
            if self.mode is not Mode.REFUSE:
                await self._carry(pair)
        except (OSError, EOFError, asyncio.CancelledError):
            return  # one of the three has gone: that is what we are here for
        finally:
            pair.reset()
            del self._pairs[pair]

    async def _carry(self, pair: _Pair) -> None:
        if self.mode is not Mode.DELAY:
            await self._open.wait()
        pair.server = await self._target()
        ways = [
            asyncio.ensure_future(self._pump(pair, pair.client[0], pair.server[1], to_server=True)),
            asyncio.ensure_future(self._pump(pair, pair.server[0], pair.client[1], to_server=False)),
        ]
        try:
            # When one side has ended there is nothing left to say to the other, once it has got what was said.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        if self.mode is not Mode.HALF_OPEN:
            return pair.close()
        # The client must not hear that the server has gone: `_set` resets it.
        await self._open.wait()
        return None

    async def _pump(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_server: bool
    ) -> None:
        while piece := await reader.read(CHUNK_BYTES):
            if self.mode is Mode.DELAY:
                await asyncio.sleep(self.delay_s)
            await self._open.wait()
            if to_server:
                self.most_bytes = max(self.most_bytes, len(piece))
                piece = self._allowed(pair, piece)
            elif pair.is_trapped:
                self.lost_answers += 1
                return pair.reset()
            writer.write(piece)
            await writer.drain()
            if pair.is_spent:
                return pair.cut()
        return None

    def _allowed(self, pair: _Pair, piece: bytes) -> bytes:
        """Return what of a piece may reach the server."""
        pair.is_armed = pair.is_armed or self._after in piece
        if self._trap and pair.is_armed and self._trap[0] in piece:
            pattern, times = self._trap
            self._trap = (pattern, times - 1) if times > 1 else None
            pair.is_trapped = True
        if self._bytes_left is None:
            return piece
        if len(piece) > self._bytes_left:
            piece, self._bytes_left, pair.is_spent = piece[: self._bytes_left], None, True
        else:
            self._bytes_left -= len(piece)
        return piece


class _Pair:
    """A connection of a client, and the one to the server that belongs to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.client: Streams = (reader, writer)
        self.server: Streams | None = None
        self.is_trapped = False
        #: What an answer is to be lost after has come.
        self.is_armed = False
        self.is_spent = False

    def reset(self) -> None:
        for streams in filter(None, (self.client, self.server)):
            writer = streams[1]
            if not writer.is_closing():
                raw: Any = writer.get_extra_info("socket")
                if raw.family != socket.AF_UNIX:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
                writer.transport.abort()

    def cut(self) -> None:
        """Reset the client; a reset would make the server throw away what it has not read yet."""
        assert self.server is not None
        self.server[1].close()
        self.reset()

    def close(self) -> None:
        for streams in filter(None, (self.client, self.server)):
            streams[1].close()

    def forsake(self) -> None:
        """Close the server's side alone."""
        if self.server is not None:
            self.server[1].transport.abort()


def to_tcp(port: int, host: str = LOOPBACK) -> Open:
    """Return how to reach a server on a port."""
    return lambda: asyncio.open_connection(host, port)


def to_unix(path: str) -> Open:
    """Return how to reach a server at a socket in the file system."""
    return lambda: asyncio.open_unix_connection(path)
