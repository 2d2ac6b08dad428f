"""The proxy misbehaves as it is told, and otherwise not at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentplatform.local.ports import LOOPBACK
from tests.faults.chaosproxy import ChaosProxy, Mode, to_tcp
from tests.servers import wait_until


class Echo:
    """A server that says back what it hears, and remembers it."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = 0
        self.socket = socket.create_server((LOOPBACK, 0))
        self.port = int(self.socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            while piece := connection.recv(4096):
                self.heard += piece
                connection.sendall(piece)
        except OSError:
            self.heard += b""
        finally:
            self.ended += 1
            connection.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.socket.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[ChaosProxy]:
    with ChaosProxy(to_tcp(echo.port)) as proxy:
        yield proxy


@contextmanager
def connected(proxy: ChaosProxy) -> Iterator[socket.socket]:
    with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as client:
        yield client


def test_passes_everything_on(proxy):
    sent = bytes(range(256)) * 4000

    with connected(proxy) as client:
        threading.Thread(target=client.sendall, args=[sent]).start()
        received = b""
        while len(received) < len(sent):
            received += client.recv(65_536)

    assert received == sent


def test_delays(proxy):
    proxy.set(Mode.DELAY, delay_s=0.2)
    began = time.monotonic()

    with connected(proxy) as client:
        client.sendall(b"hello")
        answer = client.recv(100)

    assert answer == b"hello"
    assert time.monotonic() - began >= 0.4


def test_a_blackhole_holds_back_until_it_is_healed(proxy, echo):
    with connected(proxy) as client:
        client.sendall(b"before")
        client.recv(100)
        proxy.set(Mode.BLACKHOLE)
        client.sendall(b"inside")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        heard_inside = echo.heard
        proxy.heal()
        client.settimeout(5)
        answer = client.recv(100)

    assert heard_inside == b"before"
    assert answer == b"inside"


def test_a_half_open_connection_is_gone_for_the_server_only(proxy, echo):
    with connected(proxy) as client:
        client.sendall(b"before")
        client.recv(100)
        proxy.set(Mode.HALF_OPEN)
        wait_until(lambda: echo.ended == 1, within_s=5, what="The end at the server")
        client.sendall(b"into the void")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        proxy.heal()
        client.settimeout(5)
        with pytest.raises(ConnectionResetError):
            client.recv(100)

    assert echo.heard == b"before"


def test_resets_connections_and_welcomes_new_ones(proxy):
    with connected(proxy) as client:
        client.sendall(b"x")
        client.recv(100)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(100)

    with connected(proxy) as client:
        client.sendall(b"y")
        assert client.recv(100) == b"y"


def test_refuses(proxy):
    proxy.set(Mode.REFUSE)

    with pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(100)


def test_loses_an_answer_to_what_the_server_has_heard(proxy, echo):
    proxy.lose_answer(b"COMMIT")

    with connected(proxy) as client:
        client.sendall(b"insert")
        first = client.recv(100)
        client.sendall(b"COMMIT")
        with pytest.raises(ConnectionResetError):
            client.recv(100)

    assert first == b"insert"
    assert echo.heard == b"insertCOMMIT"
    assert proxy.lost_answers == 1


def test_cuts_after_some_bytes(proxy, echo):
    proxy.cut_after(10)

    with connected(proxy) as client:
        client.sendall(b"0123456")
        client.recv(100)
        client.sendall(b"789abc")
        with pytest.raises(ConnectionResetError):
            client.recv(100)

    wait_until(lambda: echo.heard == b"0123456789", what="the server hearing what was let through")
