"""The verbs of credentials. A secret is never on the command line, where others on the machine could read it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from getpass import getpass
from pathlib import Path
from typing import Any

from agentplatform_client import credentials
from agentplatform_client.cli import codes
from agentplatform_client.cli.nouns import Columns, Noun, field, lines_of, moment
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError

COLUMNS: Columns = {
    "NAME": field("name"),
    "PROVIDER": field("provider"),
    "KIND": field("kind"),
    "HINT": field("hint"),
    "STATE": lambda one: (
        "revoked"
        if one["is_revoked"]
        else "expired"
        if one["is_expired"]
        else "expires soon"
        if one["is_expiring"]
        else "good"
    ),
    "USED": moment("last_used_at"),
    "ID": field("id"),
}
SHOWN = lines_of(["id", "name", "provider", "kind", "hint", "allowed_hosts"])


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    noun.add_list("list", "List them, newest first, without their secrets.", credentials.find, COLUMNS)
    made = noun.add("add", "Keep a credential, sealed; its secret is asked for, or read from stdin or a file.", _add)
    made.add_argument("provider", metavar="PROVIDER", help="such as openai")
    made.add_argument("--name", required=True, metavar="NAME")
    made.add_argument(
        "--kind",
        default="api_key",
        metavar="KIND",
        help="api_key (default), user_password, oauth2 or host_headers: all but the first as JSON, by the names of its parts",
    )
    made.add_argument("--base-url", metavar="URL", help="where its provider is asked, if elsewhere")
    made.add_argument(
        "--host", action="append", metavar="HOST", help="where alone it may be sent; may be given several times"
    )
    made.add_argument("--secret-file", type=Path, metavar="FILE")
    noun.add_act(
        "test",
        "Ask its provider whether one is good.",
        credentials.test,
        lambda one: [one["message"]],
        code=lambda one: codes.SUCCEEDED if one["is_good"] else codes.FAILED,
    )
    noun.add_act("revoke", "Let nothing use one any more.", credentials.revoke, SHOWN)
    noun.add_act("delete", "Remove one.", credentials.delete)


def _add(client: Client, asked: Namespace, printer: Printer) -> int:
    call = credentials.add(
        name=asked.name,
        provider=asked.provider,
        kind=asked.kind,
        secret=_secret(asked),
        base_url=asked.base_url,
        allowed_hosts=asked.host,
    )
    made = client.do(call)
    printer.result(made, SHOWN(made))
    return codes.SUCCEEDED


def _secret(asked: Namespace) -> dict[str, Any]:
    """Return the parts of the secret by name.

    Raises:
        UsageError: there is none, or it is no JSON where it must be. What it says is not repeated.
    """
    try:
        if asked.secret_file:
            text = asked.secret_file.read_text(encoding="utf-8")
        else:
            text = getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.read()
    except (OSError, ValueError):
        raise UsageError("The secret can not be read.") from None
    if asked.kind == "api_key":
        return {"api_key": text.strip()}
    try:
        parts = json.loads(text)
    except ValueError:
        raise UsageError(f"The secret of a {asked.kind} credential is JSON, by the names of its parts.") from None
    if not isinstance(parts, dict):
        raise UsageError(f"The secret of a {asked.kind} credential is a JSON object.")
    return parts
