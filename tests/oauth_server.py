"""A real OAuth 2 server on this machine: PKCE, codes that are good once, refresh tokens that are replaced, thieves found out."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "client", "s3cret &:"

Reply = tuple[int, dict[str, Any]]


@dataclass
class OAuthServer:
    """What it knows, and how it behaves."""

    url: str = ""
    is_rotating: bool = True
    expires_in: Any = 3600
    #: Before it answers a question for tokens, so that others come meanwhile.
    delay_s: float = 0.0
    #: Instead of the usual answer to the next questions for tokens: a reply, or `lost`: it does all, and says nothing.
    next_replies: list[Reply | str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    good_refresh_tokens: set[str] = field(default_factory=set)
    spent_refresh_tokens: set[str] = field(default_factory=set)
    #: Somebody has shown a refresh token that was replaced: all of its family are void.
    has_found_thief: bool = False
    #: The questions for tokens, in order.
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    pause: threading.Event = field(default_factory=threading.Event)

    @property
    def authorize_url(self) -> str:
        """Where people are sent."""
        return f"{self.url}/authorize?tenant=1"

    @property
    def token_url(self) -> str:
        """Where tokens are got."""
        return f"{self.url}/token"

    @property
    def refreshes(self) -> int:
        """How often a refresh token was shown."""
        return sum(one.get("grant_type") == "refresh_token" for one in self.asked)

    def allow(self, permission_url: str) -> dict[str, str]:
        """Say yes, as the person does who is sent to `permission_url`; return what he is sent back with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(permission_url).query).items()}
        assert permission_url.startswith(f"{self.url}/authorize?")
        assert (asked["response_type"], asked["client_id"], asked["tenant"]) == ("code", CLIENT_ID, "1")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def reply(self, asked: dict[str, str], headers: dict[str, str]) -> Reply | None:
        """Answer a question for tokens; None: the answer is lost."""
        with self.lock:
            self.asked.append(asked)
            self.headers.append(headers)
            planned = self.next_replies.pop(0) if self.next_replies else None
        self.pause.wait(self.delay_s)
        if isinstance(planned, tuple):
            return planned
        with self.lock:
            usual = self._usual(asked, headers)
        return None if planned == "lost" else usual

    def tokens(self) -> Reply:
        """Give new ones."""
        given = {"access_token": f"at-{secrets.token_hex(8)}", "token_type": "Bearer", "expires_in": self.expires_in}
        refresh_token = f"rt-{secrets.token_hex(8)}"
        self.good_refresh_tokens.add(refresh_token)
        return 200, {**given, "refresh_token": refresh_token}

    def _usual(self, asked: dict[str, str], headers: dict[str, str]) -> Reply:
        login = base64.b64encode(f"{CLIENT_ID}:s3cret%20%26%3A".encode()).decode()
        by_header = headers.get("Authorization") == f"Basic {login}"
        if not by_header and (asked.get("client_id"), asked.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        if asked["grant_type"] == "refresh_token":
            return self._refreshed(asked["refresh_token"])
        known = self.codes.pop(asked["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(asked["code_verifier"].encode()).digest()).rstrip(b"=")
        if known is None or known["code_challenge"] != challenge.decode():
            return 400, {"error": "invalid_grant", "error_description": "code or verifier"}
        if known["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": "redirect_uri"}
        return self.tokens()

    def _refreshed(self, shown: str) -> Reply:
        if shown in self.spent_refresh_tokens:
            self.has_found_thief = True
            self.good_refresh_tokens.clear()
        if shown not in self.good_refresh_tokens:
            return 400, {"error": "invalid_grant"}
        if not self.is_rotating:
            status, given = self.tokens()
            return status, {name: value for name, value in given.items() if name != "refresh_token"}
        self.good_refresh_tokens.discard(shown)
        self.spent_refresh_tokens.add(shown)
        return self.tokens()


@contextmanager
def oauth_server(**behaviour: Any) -> Iterator[OAuthServer]:
    """Serve on a free port of this machine."""
    known = OAuthServer(**behaviour)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            reply = known.reply(asked, dict(self.headers))
            if reply is None:
                self.close_connection = True
                return
            status, said = reply
            location = {"Location": said["location"]} if "location" in said else {}
            answer = json.dumps(said).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **location}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield known
    finally:
        known.pause.set()
        server.shutdown()
        server.server_close()


def query(given: dict[str, str]) -> str:
    """Write what somebody is sent back with."""
    return f"?{urlencode(given)}"
