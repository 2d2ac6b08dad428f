"""Real processes for acceptance tests: Celery workers on the test database, and a scripted language model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from agentplatform.local.paths import ROOT
from agentplatform.local.ports import answers, free_port
from agentplatform.local.supervisor import Service, kill_group, spawn
from tests.environment import SERVERS

POOL_SIZES = {"threads": 8, "prefork": 2, "solo": 1}


def wait_until(is_true: Callable[[], Any], *, within_s: float = 30.0, what: str = "it") -> Any:
    """Return what `is_true` returns as soon as that is truthy; fail after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (answer := is_true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within_s:g} s")
        time.sleep(0.02)
    return answer


@dataclass
class Worker:
    """A running Celery worker, the leader of its own process group."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The number of the worker's parent process."""
        return self.process.pid

    @property
    def children(self) -> list[int]:
        """The numbers of its pool processes; empty for a pool of threads."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def stop(self, *, within_s: float = 20.0) -> int:
        """Ask it to stop as an operator would, wait, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The worker did not stop within {within_s:g} s:\n{self.output()}") from None
        finally:
            kill_group(self.pid)
            self.process.wait()

    def kill9(self) -> None:
        """Kill it and its children as the kernel's OOM killer would: no clean-up of any kind."""
        kill_group(self.pid)
        self.process.wait()

    def output(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text(errors="replace")


def start_worker(
    queue: str = "default",
    pool: str = "threads",
    *,
    concurrency: int | None = None,
    extra_env: Mapping[str, str] | None = None,
    within_s: float = 30.0,
) -> Worker:
    """Start a Celery worker on the test database and broker; return once it takes messages.

    The test must be `django_db(transaction=True)`: the worker sees only what is committed. Whoever starts it stops it.
    """
    (SERVERS.folder / "workers").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="worker-", dir=SERVERS.folder / "workers"))
    alive, log = folder / "alive", folder / "log"
    options = ["-A", "agentplatform", "worker", "-Q", queue, "-P", pool, "-c", str(concurrency or POOL_SIZES[pool])]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
    service = Service(
        name=f"worker-{queue}",
        argv=[sys.executable, "-m", "celery", *options, "-n", f"{folder.name}@%h", *quiet],
        env=environment_of_processes() | {"AGENTPLATFORM_ALIVE_FILE": str(alive)} | dict(extra_env or {}),
        cwd=ROOT,
    )
    with log.open("ab") as file:
        worker = Worker(spawn(service, file.fileno()), log)
    try:
        wait_until(
            lambda: alive.exists() or worker.process.poll() is not None, within_s=within_s, what="The worker's start"
        )
        assert worker.process.poll() is None, f"The worker died at its start:\n{worker.output()}"
    except AssertionError:
        worker.kill9()
        raise
    return worker


@contextmanager
def running_worker(queue: str = "default", pool: str = "threads", **options: Any) -> Iterator[Worker]:
    """Start a worker for a `with` block, and leave nothing of it behind."""
    worker = start_worker(queue, pool, **options)
    try:
        yield worker
    finally:
        worker.kill9()


@dataclass
class Web:
    """A running web process: one uvicorn, the leader of its own process group."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def kill9(self) -> None:
        """Kill it as the kernel would."""
        kill_group(self.pid)
        self.process.wait()

    def output(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def running_web(*, extra_env: Mapping[str, str] | None = None, port: int = 0, within_s: float = 60.0) -> Iterator[Web]:
    """Serve the API and the console for a `with` block, on the test database and broker, as `bin/up` does.

    The test must be `django_db(transaction=True)`: the web sees only what is committed.
    """
    (SERVERS.folder / "webs").mkdir(parents=True, exist_ok=True)
    log = Path(tempfile.mkdtemp(prefix="web-", dir=SERVERS.folder / "webs")) / "log"
    port = free_port(port)
    service = Service(
        name="web",
        argv=[
            *[sys.executable, "-m", "uvicorn", "agentplatform.asgi:application", "--host=127.0.0.1", f"--port={port}"],
            *["--no-server-header", "--timeout-graceful-shutdown=5"],
        ],
        env=environment_of_processes() | dict(extra_env or {}),
        cwd=ROOT,
    )
    with log.open("ab") as file:
        web = Web(spawn(service, file.fileno()), log, port)
    try:
        wait_until(
            lambda: answers(port, "/healthz") or web.process.poll() is not None,
            within_s=within_s,
            what="The web's start",
        )
        assert web.process.poll() is None, f"The web died at its start:\n{web.output()}"
        yield web
    finally:
        web.kill9()


def environment_of_processes() -> dict[str, str]:
    """Return the environment of a process that shall see the same database, broker and settings as this test."""
    from django.conf import settings

    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "agentplatform.settings",
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "BROKER_URL": settings.BROKER_URL,
        "PYTHONUNBUFFERED": "1",
    }


def database_url() -> str:
    """Return the address of the test's own database, which is not the one the settings name."""
    from django.db import connection

    given = connection.settings_dict
    login = quote(given["USER"], safe="") + (f":{quote(given['PASSWORD'], safe='')}" if given["PASSWORD"] else "")
    query = {**given["OPTIONS"], "host": given["HOST"], "port": str(given["PORT"])}
    kept = {name: value for name, value in query.items() if value and isinstance(value, str)}
    return f"postgresql://{login}@/{quote(given['NAME'])}?{urlencode(kept)}"


@dataclass(frozen=True)
class Answer:
    """What the scripted model says to one request."""

    text: str = "ok"
    status: int = 200
    delay_s: float = 0.0
    input_tokens: int = 10
    output_tokens: int = 5
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Sent one by one to who asks for a stream, instead of the text.
    pieces: Sequence[str] = ()
    piece_s: float = 0.0


@dataclass
class ScriptedLlm:
    """An OpenAI-compatible chat server: answers `script` in order, then `default`; records what it was asked."""

    default: Answer | Callable[[dict[str, Any]], Answer] = Answer()
    script: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)  # the bodies
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        """Record a request and choose its answer."""
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            if self.script:
                return self.script.pop(0)
        return self.default(body) if callable(self.default) else self.default

    def done(self) -> None:
        """Count one request less under way."""
        with self._lock:
            self._at_once -= 1


@contextmanager
def scripted_llm(
    *script: Answer, default: Answer | Callable[[dict[str, Any]], Answer] = Answer()
) -> Iterator[ScriptedLlm]:
    """Serve a scripted model on a free port: `with scripted_llm(Answer(status=429)) as llm`; `llm.url` ends in /v1."""
    llm = ScriptedLlm(default=default, script=list(script))

    class Handler(_ChatHandler):
        script = llm

    server = _Server(("127.0.0.1", 0), Handler)
    llm.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield llm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # a graph asks for all its items at once


class _ChatHandler(BaseHTTPRequestHandler):
    script: ScriptedLlm
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        answer = self.script.next_answer(body, {name.lower(): value for name, value in self.headers.items()})
        try:
            time.sleep(answer.delay_s)
            if answer.pieces and body.get("stream"):
                self._stream(answer)
                return
            self._send(answer, _error(answer) if answer.status >= 400 else _completion(body, answer))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the caller was cancelled: that is often the very point of the test
        finally:
            self.script.done()

    def _send(self, answer: Answer, content: dict[str, Any]) -> None:
        sent = json.dumps(content).encode()
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(sent)),
            **answer.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    def _stream(self, answer: Answer) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in answer.pieces:
            self._tell({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            time.sleep(answer.piece_s)
        usage = {"prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens}
        self._tell({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _tell(self, event: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a test reads `requests`."""


def _completion(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model", "scripted"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer.text}}],
        "usage": {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _error(answer: Answer) -> dict[str, Any]:
    return {"error": {"message": answer.text, "type": "scripted", "param": None, "code": str(answer.status)}}
