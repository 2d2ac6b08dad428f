"""What is asked of a token endpoint, and what its answers mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from agentplatform.lib.errors import AppError
from agentplatform.lib.http import Answer
from integrations import providers
from integrations.oauth_wire import Client, Tokens, tokens_of

AT = datetime(2026, 1, 2, tzinfo=UTC)
#: Of RFC 7636, appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CLIENT = Client("id", "s3cret", "https://a.example/authorize?x=1", "https://a.example/token", ("one", "two"))


def answer(said: Any, status: int = 200) -> Answer:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return Answer(status, {}, body, "https://a.example/token")


class TestTokens:
    @pytest.mark.parametrize(
        ("said", "tokens"),
        [
            (
                {"access_token": "a", "token_type": "Bearer", "expires_in": 60},
                Tokens("a", "", AT + timedelta(minutes=1)),
            ),
            ({"access_token": "a", "token_type": "bearer"}, Tokens("a", "", None)),
            ({"ok": True, "access_token": "xoxb-1", "token_type": "bot"}, Tokens("xoxb-1", "", None)),
            (
                {"access_token": "a", "refresh_token": "r", "expires_in": "60"},
                Tokens("a", "r", AT + timedelta(minutes=1)),
            ),
            (
                {"access_token": "a", "refresh_token": None, "expires_in": 1e30},
                Tokens("a", "", AT + timedelta(days=3650)),
            ),
            ({"access_token": "a", "expires_in": -1}, Tokens("a", "", None)),
            ({"access_token": "a", "expires_in": True}, Tokens("a", "", None)),
            ({"access_token": "a", "expires_in": "soon"}, Tokens("a", "", None)),
        ],
    )
    def test_are_read(self, said: dict[str, Any], tokens: Tokens) -> None:
        assert tokens_of(answer(said), at=AT) == tokens

    @pytest.mark.parametrize(
        ("said", "status", "code"),
        [
            ({"error": "invalid_grant"}, 400, "OAUTH_REFUSED"),
            ({"error": "bad_verification_code"}, 200, "OAUTH_REFUSED"),
            ({"ok": False, "error": "invalid_code"}, 200, "OAUTH_REFUSED"),
            (b"<html>", 404, "OAUTH_REFUSED"),
            ({}, 429, "OAUTH_BUSY"),
            (b"", 503, "OAUTH_BUSY"),
            ({"error": "temporarily_unavailable"}, 400, "OAUTH_BUSY"),
            (b"", 500, "HTTP_BAD_ANSWER"),
            (b"<html>", 200, "HTTP_BAD_ANSWER"),
            ([], 200, "HTTP_BAD_ANSWER"),
            ({}, 200, "HTTP_BAD_ANSWER"),
            ({"access_token": ""}, 200, "HTTP_BAD_ANSWER"),
            ({"access_token": 7}, 200, "HTTP_BAD_ANSWER"),
            ({"access_token": "a\r\nX: y"}, 200, "HTTP_BAD_ANSWER"),
            ({"access_token": "a b"}, 200, "HTTP_BAD_ANSWER"),
            ({"access_token": "x" * 20_000}, 200, "HTTP_BAD_ANSWER"),
            ({"access_token": "a", "refresh_token": ["r"]}, 200, "HTTP_BAD_ANSWER"),
            ({"access_token": "a", "token_type": "mac"}, 200, "HTTP_BAD_ANSWER"),
        ],
    )
    def test_are_not_in_everything(self, said: Any, status: int, code: str) -> None:
        with pytest.raises(AppError) as refused:
            tokens_of(answer(said, status), at=AT)

        assert refused.value.code == code

    def test_refused_are_told_in_words_that_can_be_kept(self) -> None:
        """S31: a NUL in what a provider says."""
        with pytest.raises(AppError) as refused:
            tokens_of(answer({"error": "no", "error_description": "a\0b\x1b[31m" + "x" * 500}, 400), at=AT)

        assert refused.value.message == f"The provider refused: a\ufffdb\ufffd[31m{'x' * 192}"

    def test_are_not_shown(self) -> None:
        assert "secret" not in repr(Tokens("secret-a", "secret-r", None))
        assert "s3cret" not in repr(CLIENT)


class TestClient:
    def test_asks_for_permission_with_a_challenge(self) -> None:
        url = CLIENT.permission_url(redirect_uri="https://p.example/oauth/callback", state="st&=", verifier=VERIFIER)

        assert parse_qs(urlsplit(url).query) == {
            "x": ["1"],
            "response_type": ["code"],
            "client_id": ["id"],
            "redirect_uri": ["https://p.example/oauth/callback"],
            "scope": ["one two"],
            "state": ["st&="],
            "code_challenge": [CHALLENGE],
            "code_challenge_method": ["S256"],
        }

    def test_sends_its_secret_in_the_body_or_in_a_header(self) -> None:
        by_header = Client("i:d", "s &", "https://a.example/", "https://a.example/", is_secret_in_header=True)

        assert parse_qs(CLIENT.refresh("r").decode())["client_secret"] == ["s3cret"]
        assert "client_secret" not in by_header.refresh("r").decode()
        assert by_header.headers()["Authorization"] == "Basic aSUzQWQ6cyUyMCUyNg=="

    def test_separates_scopes_as_its_provider_does(self) -> None:
        assert providers.get("slack").oauth.scope_separator == ","
