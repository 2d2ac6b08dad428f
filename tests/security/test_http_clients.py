"""There is one door to other machines: nothing else in the tree opens a connection (S6)."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What runs in the server. `clients/` is exempt: it runs elsewhere, and nothing here imports it (tests/architecture/test_client_types.py).
#: What starts servers on this machine asks these, and nobody else.
LOCAL = "agentplatform/local/"
CLIENTS = {
    *(
        "aiohttp",
        "ftplib",
        "http.client",
        "httpcore",
        "httpcore2",
        "httpx",
        "httpx2",
        "imaplib",
        "poplib",
        "pycurl",
        "requests",
    ),
    *("smtplib", "telnetlib", "urllib.request", "urllib3", "websockets", "xmlrpc.client"),
    *("aiosmtplib", "asyncssh", "feedparser", "nntplib", "paramiko", "socketserver", "socks", "urllib.robotparser"),
    # Of a library that is used for what it says, not for asking anybody.
    *("authlib.integrations", "authlib.oauth2.client"),
    # Sockets by hand.
    *("anyio", "socket", "trio"),
}
#: SDKs that bring a client of their own: each may be used where it is given ours.
SDKS = {"anthropic", "github", "openai", "sentry_sdk", "slack_sdk"}
OPENERS = {
    "open_connection",
    "connect_ex",
    "create_connection",
    "create_unix_connection",
    "open_unix_connection",
    "create_datagram_endpoint",
    "sock_connect",
    # Asks a machine for its certificate.
    "get_server_certificate",
}
#: What is not of the product: tests, benchmarks, and what is given to others to run elsewhere.
NOT_OURS = {"tests", "benchmarks", "clients", "manage.py"}
MAY = {
    "agentplatform/lib/addresses.py": {"socket"},
    "agentplatform/lib/connect.py": {"socket"},
    "agentplatform/lib/http.py": {"httpx2"},
    "agentplatform/lib/outbound.py": {"httpcore2", "httpx2"},
    "agentplatform/reporting.py": {"sentry_sdk"},  # given a transport of ours
    "blocks/llm/_clients.py": {"openai"},
    "blocks/llm/_errors.py": {"httpx2", "openai"},  # for the names of what they raise
    "executions/worker.py": {"socket"},  # for the name of its machine
}


def sources() -> Iterator[tuple[str, str]]:
    """Yield every file of the product, by its path: whatever folder it is in, also one that somebody adds."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for path in listed.split():
        if path.partition("/")[0] not in NOT_OURS and not path.startswith(LOCAL):
            yield path, (ROOT / path).read_text(encoding="utf-8")


def imports_of(source: str) -> Iterator[str]:
    """Name every module that a file imports, anywhere in it and in any way; what is only for the type checker counts too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name_of(node.func) in ("__import__", "import_module"):
            yield from (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))


def clients_in(path: str, source: str) -> list[str]:
    """Return the clients that a file imports, except those that it may."""
    return [
        f"{path}: {name}"
        for name in imports_of(source)
        for client in CLIENTS | SDKS
        if (name == client or name.startswith(f"{client}.")) and client not in MAY.get(path, set())
    ]


def openers_in(path: str, source: str) -> list[str]:
    """Return the places at which a file opens connections by hand, or takes what does so out of its module."""
    return [
        f"{path}:{node.lineno}"
        for node in ast.walk(ast.parse(source))
        if not OPENERS.isdisjoint(_names_in(node)) and path != "agentplatform/lib/connect.py"
    ]


def _names_in(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {alias.name for alias in node.names}
    return {node.attr} if isinstance(node, ast.Attribute) else set()


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_no_other_http_client_is_imported() -> None:
    assert [one for path, source in sources() for one in clients_in(path, source)] == [], (
        "Ask the outside through agentplatform.lib.http"
    )


def test_no_connection_is_opened_by_hand() -> None:
    assert [one for path, source in sources() for one in openers_in(path, source)] == [], (
        "Connect through agentplatform.lib.connect"
    )


class TestThatItWouldBeFound:
    """A test that can not fail proves nothing."""

    @pytest.mark.parametrize(
        "source",
        [
            "import requests",
            "import httpx2 as h",
            "from urllib.request import urlopen",
            "from urllib import request",
            "import http.client",
            "def f():\n    import socket",
            "from httpx2 import AsyncClient",
            "if TYPE_CHECKING:\n    import aiohttp",
            "__import__('requests')",
            "importlib.import_module('urllib3')",
            "import sentry_sdk",
            "from openai import AsyncOpenAI",
        ],
    )
    def test_a_client(self, source: str) -> None:
        assert clients_in("blocks/http/new_block.py", source)

    @pytest.mark.parametrize(
        "source",
        [
            "async def f():\n    await asyncio.open_connection('h', 1)",
            "from asyncio import open_connection as reach",
            "ssl.get_server_certificate(('h', 443))",
        ],
    )
    def test_a_connection(self, source: str) -> None:
        assert openers_in("blocks/http/new_block.py", source)

    def test_in_every_folder_of_the_product(self) -> None:
        folders = {path.partition("/")[0] for path, _ in sources()}

        assert {"agentplatform", "blocks", "executions", "files", "graphs", "integrations", "access"} <= folders


def test_the_sdk_is_given_our_client() -> None:
    tree = ast.parse((ROOT / "blocks/llm/_clients.py").read_text(encoding="utf-8"))
    made = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "AsyncOpenAI"
    ]

    assert made
    assert all("http_client" in {keyword.arg for keyword in call.keywords} for call in made)
