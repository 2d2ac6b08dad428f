"""RabbitMQ from the operating system's package, as a process of our own, without the system's service."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path

from agentplatform.local.ports import LOOPBACK, free_port
from agentplatform.local.supervisor import Service

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
#: What a client says first, and how an answer to it begins.
HELLO, METHOD_FRAME = b"AMQP\x00\x00\x09\x01", b"\x01"


def is_installed() -> bool:
    """Say whether the package is there."""
    return SERVER.exists() and shutil.which("epmd") is not None


@dataclass
class Rabbit:
    """One node with its data in `folder`; its address is known before it runs."""

    folder: Path
    port: int = field(default_factory=free_port)
    epmd_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """The address for BROKER_URL. This user may come from loopback only."""
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}//"

    def names(self) -> Service:
        """Return the service by which Erlang nodes find each other: RabbitMQ would otherwise leave one behind."""
        return Service(
            name="epmd",
            argv=["epmd", "-port", str(self.epmd_port), "-address", LOOPBACK],
            env=self._environment(),
            is_ready=lambda: _listens(self.epmd_port),
        )

    def service(self) -> Service:
        """Return the service of the node."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "plugins").write_text("[].\n")
        return Service(name="rabbitmq", argv=[str(SERVER)], env=self._environment(), is_ready=self.is_ready)

    def is_ready(self) -> bool:
        """Say whether it speaks to clients."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as client:
                client.sendall(HELLO)
                return client.recv(1) == METHOD_FRAME
        except OSError:
            return False

    def forget(self) -> None:
        """Remove everything that a stopped node remembers."""
        shutil.rmtree(self.folder / "mnesia", ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),  # where its cookie goes
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_BASE": str(self.folder),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_NODENAME": f"faults{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=2).close()
    except OSError:
        return False
    return True
