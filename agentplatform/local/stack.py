"""What runs on the local machine, in which order, and with which environment."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agentplatform.local.errors import LocalError
from agentplatform.local.llm import MODEL, Llm
from agentplatform.local.paths import LOCAL, ROOT
from agentplatform.local.ports import answers
from agentplatform.local.postgres import Postgres
from agentplatform.local.supervisor import Service, Supervisor
from agentplatform.local.valkey import Valkey

ENVIRONMENT_FILE = LOCAL / "environment.json"
WORKER = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]


@dataclass(frozen=True)
class Admin:
    """Who can log in, and the password if it has just been made."""

    username: str
    password: str = ""


@dataclass
class Stack:
    """The platform on this machine: servers that no variable points elsewhere, then our own processes."""

    supervisor: Supervisor
    environment: dict[str, str] = field(default_factory=dict)
    postgres: Postgres | None = None
    llm: Llm | None = None

    def start_servers(self) -> None:
        """Start PostgreSQL and Valkey, and plan the language model, each unless a variable names another one."""
        services: list[Service] = []
        addresses: dict[str, str] = {}
        if not _is_given("DATABASE_URL"):
            self.postgres = Postgres(LOCAL / "postgres")
            addresses["DATABASE_URL"] = self.postgres.url
            services.append(self.postgres.service())
        if not _is_given("REDIS_URL"):
            valkey = Valkey(LOCAL / "valkey")
            addresses["REDIS_URL"] = valkey.url
            services.append(valkey.service())
        if not (_is_given("OPENAI_BASE_URL") or _is_given("OPENAI_API_KEY")):
            self.llm = Llm()
            addresses |= _addresses_of(self.llm)
        self.environment = local_environment() | addresses
        self.supervisor.start(*services)
        if self.postgres:
            self.postgres.create_database()

    def prepare(self) -> None:
        """Migrate, unless our own database has seen these migrations."""
        if not (self.postgres and Prepared().read()):
            self._prepare()

    def prepare_with_admin(self) -> Admin:
        """Migrate, and make sure that somebody can log in."""
        known = Prepared().read() if self.postgres else {}
        if username := known.get("username"):
            return Admin(username)
        return Admin(**self._prepare("--with-admin"))

    def _prepare(self, *options: str) -> dict[str, str]:
        done = self.manage("prepare_local", *options, capture=True)
        if done.returncode != 0:
            self.supervisor.look()  # Ctrl-C ends the command too
            raise LocalError(f"The platform can not be prepared:\n{done.stderr.strip()}")
        answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        if self.postgres:
            Prepared().keep(username=answer.get("username", ""))
        return answer

    def start_workers(self, *more: Service) -> None:
        """Start both kinds of workers, the language model, and `more`: side by side, as each mostly imports."""
        threads = self.environment.get("AGENTPLATFORM_CELERY_THREADS", "16")
        cores = str(os.cpu_count() or 2)
        self.supervisor.start(
            self.worker("worker", "--queues=default", "--pool=threads", f"--concurrency={threads}"),
            self.worker("worker-cpu", "--queues=cpu", "--pool=prefork", f"--concurrency={cores}"),
            *([self.llm.service()] if self.llm else []),
            *more,
        )

    def start_beat(self) -> None:
        """Start beat: after the rest, as nobody waits for it and all need the cores to start."""
        schedule = f"--schedule={LOCAL / 'run' / 'beat-schedule'}"
        argv = [sys.executable, "-m", "celery", "-A", "agentplatform", "beat", schedule, "--pidfile="]
        self.supervisor.start(Service(name="beat", argv=argv, env=self.environment, cwd=ROOT))

    def web(self, *, host: str, port: int) -> Service:
        """Return the service of console and API."""
        serve = ["uvicorn", "agentplatform.asgi:application", f"--host={host}", f"--port={port}", "--no-server-header"]
        return Service(
            name="web",
            argv=[sys.executable, "-m", *serve, "--timeout-graceful-shutdown=5"],
            env=self.environment,
            cwd=ROOT,
            is_ready=lambda: answers(port, "/readyz", host),
        )

    def worker(self, name: str, *options: str) -> Service:
        """Return the service of one Celery worker."""
        alive = LOCAL / "run" / f"{name}.alive"
        alive.parent.mkdir(parents=True, exist_ok=True)
        return Service(
            name=name,
            argv=[sys.executable, "-m", "celery", "-A", "agentplatform", "worker", f"-n={name}@%h", *options, *WORKER],
            env=self.environment
            | {
                "AGENTPLATFORM_ALIVE_FILE": str(alive),
                "CELERY_SKIP_CHECKS": "1",  # Django's checks import the web; ours run all the same
            },
            cwd=ROOT,
            before=lambda: alive.unlink(missing_ok=True),
            is_ready=alive.exists,
            stop_after_s=20,
        )

    def manage(self, *command: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a management command in the stack's environment."""
        argv = [sys.executable, str(ROOT / "manage.py"), *command]
        return subprocess.run(argv, env=self.environment, cwd=ROOT, capture_output=capture, text=True)

    def publish(self) -> None:
        """Write down the environment, so that `bin/manage` reaches what runs here."""
        write_private(ENVIRONMENT_FILE, json.dumps(self.environment))

    def forget(self) -> None:
        """Remove what only made sense while the servers ran."""
        ENVIRONMENT_FILE.unlink(missing_ok=True)
        if self.postgres:
            self.postgres.forget()


@dataclass
class Prepared:
    """Remembers that our own database has seen the present migrations: asking Django costs a start 2 s."""

    path: Path = LOCAL / "postgres" / "prepared.json"

    def read(self) -> dict[str, str]:
        """Return what was kept, or nothing where something has changed since."""
        try:
            kept: dict[str, str] = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return kept if kept["migrations"] == self._fingerprint() else {}

    def keep(self, *, username: str) -> None:
        """Remember the preparation that has just succeeded."""
        write_private(self.path, json.dumps({"username": username, "migrations": self._fingerprint()}))

    def _fingerprint(self) -> str:
        # The lock stands for the migrations of the packages.
        read = [ROOT / "requirements.txt", *sorted(ROOT.glob("*/migrations/*.py"))]
        return hashlib.sha256(b"".join(bytes(path) + path.read_bytes() for path in read)).hexdigest()


@contextlib.contextmanager
def running_stack(supervisor: Supervisor) -> Iterator[Stack]:
    """Yield a stack of which this process is the only owner, and leave nothing running.

    Raises: LocalError if another process owns it.
    """
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "lock").open("a+") as lock:
        if not _take(lock.fileno()):
            raise LocalError("The platform already runs from this folder: stop that bin/up or bin/demo first.")
        stack = Stack(supervisor)
        try:
            with supervisor:
                yield stack
        finally:
            stack.forget()


def environment_of_running() -> dict[str, str] | None:
    """Return the environment of the stack that runs from this folder, if one does.

    Raises:
        LocalError: it is just starting or stopping.
    """
    if not (LOCAL / "lock").exists():
        return None
    with (LOCAL / "lock").open("a+") as lock:
        if _take(lock.fileno()):
            return None  # nobody holds it; closing the file gives it back
    try:
        found: dict[str, str] = json.loads(ENVIRONMENT_FILE.read_text())
    except FileNotFoundError:
        raise LocalError("The platform is just starting or stopping here: try again in a moment.") from None
    return found


def local_environment() -> dict[str, str]:
    """Return our own environment with what development needs: keys of this folder, made once, and localhost only."""
    defaults = {
        "AGENTPLATFORM_ENV": "development",
        "AGENTPLATFORM_ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "PYTHONUNBUFFERED": "1",
    }
    if not _is_given("AGENTPLATFORM_SECRET_KEY"):
        defaults["AGENTPLATFORM_SECRET_KEY"] = _kept("secret_key", secrets.token_urlsafe(64))
    if not _is_given("AGENTPLATFORM_ENCRYPTION_KEYS"):
        key = urlsafe_b64encode(secrets.token_bytes(32)).decode()
        defaults["AGENTPLATFORM_ENCRYPTION_KEYS"] = _kept("encryption_keys", key)
    return defaults | dict(os.environ)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)


def _kept(name: str, fresh: str) -> str:
    path = LOCAL / name
    if not path.exists():
        write_private(path, fresh)
    return path.read_text().strip()


def _addresses_of(llm: Llm) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": llm.url,
        "OPENAI_API_KEY": "local",  # the SDK insists on one, the server on none
        "OPENAI_MODEL": os.environ.get("OPENAI_MODEL", MODEL),
        "AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS": _also("AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS", f"127.0.0.1:{llm.port}"),
    }


def _take(lock: int) -> bool:
    deadline = time.monotonic() + 0.3  # whoever only looks holds it for a blink
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _is_given(name: str, environment: Mapping[str, str] = os.environ) -> bool:
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def _also(name: str, entry: str) -> str:
    return ",".join(filter(None, [os.environ.get(name, ""), entry]))
