"""There is one door to other machines: nothing else in the tree opens a connection (S6)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What runs in the server. `clients/` is exempt: it runs elsewhere, and nothing here imports it (tests/clients/test_types.py).
FOLDERS = ["agentplatform/lib", "blocks", "integrations", "graphs", "executions"]
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
MAY = {
    "agentplatform/lib/addresses.py": {"socket"},
    "agentplatform/lib/connect.py": {"socket"},
    "agentplatform/lib/http.py": {"httpx2"},
    "agentplatform/lib/outbound.py": {"httpcore2", "httpx2"},
    "blocks/llm/_clients.py": {"openai"},
    "blocks/llm/_errors.py": {"httpx2", "openai"},  # for the names of what they raise
    "executions/worker.py": {"socket"},  # for the name of its machine
}


def imports_of(path: Path) -> Iterator[str]:
    """Name every module that a file imports, anywhere in it; what is only for the type checker counts too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_other_http_client_is_imported(folder: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name in imports_of(path)
        for client in CLIENTS | SDKS
        if (name == client or name.startswith(f"{client}."))
        and client not in MAY.get(str(path.relative_to(ROOT)), set())
    }

    assert not found, "Ask the outside through agentplatform.lib.http"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_connection_is_opened_by_hand(folder: str) -> None:
    openers = {
        "open_connection",
        "connect_ex",
        "create_connection",
        "create_unix_connection",
        "open_unix_connection",
        "create_datagram_endpoint",
        "sock_connect",
    }

    found = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in openers and path != ROOT / "agentplatform/lib/connect.py"
    }

    assert not found, "Connect through agentplatform.lib.connect"


def test_the_sdk_is_given_our_client() -> None:
    tree = ast.parse((ROOT / "blocks/llm/_clients.py").read_text(encoding="utf-8"))
    made = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "AsyncOpenAI"
    ]

    assert made
    assert all("http_client" in {keyword.arg for keyword in call.keywords} for call in made)
