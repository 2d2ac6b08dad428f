"""Finds free ports, and asks servers on them whether they are up."""

from __future__ import annotations

import http.client
import socket

from agentplatform.local.errors import LocalError

LOOPBACK = "127.0.0.1"


def free_port(wanted: int = 0, host: str = LOOPBACK) -> int:
    """Return `wanted` if nobody listens there, else any free port.

    Raises: LocalError if the address is none of this machine.
    """
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            if wanted == 0:
                raise LocalError(f"Nothing can listen on {host}: {error.strerror or error}.") from None
            return free_port(0, host)
        return int(probe.getsockname()[1])


def answers(port: int, path: str, host: str = LOOPBACK) -> bool:
    """Say whether an HTTP GET is answered with 200."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
