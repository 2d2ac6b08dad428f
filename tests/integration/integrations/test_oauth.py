"""OAuth 2 against a real server: allowed by the one who was asked, refreshed once among all, no refresh token shown twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from agentplatform.lib import http
from agentplatform.lib.clock import now
from agentplatform.lib.http_errors import UrlForbidden
from executions.asking import looked_up
from integrations import grants, oauth, services
from integrations.errors import CredentialMissing
from integrations.models import Credential, Grant
from integrations.oauth_errors import (
    CredentialNotConnected,
    CredentialRefreshBusy,
    CredentialRefreshFailed,
    OAuthBusy,
    OAuthNotPossible,
    OAuthRefused,
    OAuthRequestInvalid,
)
from integrations.oauth_wire import Tokens
from tests.factories import make_user
from tests.keys import make_credential
from tests.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer, oauth_server, query
from tests.outside import allow_only
from tests.servers import environment_of_processes

pytestmark = pytest.mark.django_db(transaction=True)

BACK = "https://platform.example/oauth/callback"


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with oauth_server() as server:
        yield server


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    services.forget()
    yield
    services.forget()


@pytest.fixture
def owner():
    return make_user()


def unconnected(owner, server: OAuthServer, **parts: str) -> Credential:
    secret = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "authorize_url": server.authorize_url,
        "token_url": server.token_url,
    }
    return make_credential(
        owner, provider="http", kind="oauth2", base_url="https://api.example.com", parts=secret | parts
    )


def connected(owner, server: OAuthServer) -> Credential:
    credential = unconnected(owner, server)
    url, question = oauth.ask(credential, user_id=owner.pk, redirect_uri=BACK)
    return oauth.answer(question, user_id=owner.pk, given=server.allow(url), redirect_uri=BACK)


def age(credential: Credential, *, ends_in_s: float = 30.0) -> None:
    """Let the token end soon."""
    moment = now() + timedelta(seconds=ends_in_s)
    Grant.objects.filter(credential=credential).update(expires_at=moment, fresh_until=now() - timedelta(seconds=1))
    services.forget()


async def token_of(credential: Credential) -> str:
    """Return the token that a firing of the owner gets."""
    try:
        opened = await looked_up(
            lambda: services.open_credential(owner_id=credential.owner_id, provider="http", credential_id=credential.pk)
        )
        return (await oauth.refreshed(opened, looked_up) if opened.is_stale else opened).access_token
    finally:
        await http.close()


def token(credential: Credential) -> str:
    return asyncio.run(token_of(credential))


def grant_of(credential: Credential) -> Grant:
    return Grant.objects.get(credential=credential)


class TestConnecting:
    def test_keeps_the_tokens_sealed_and_uses_them(self, owner, server):
        credential = connected(owner, server)

        grant = grant_of(credential)
        given = grant.tokens.reveal()
        assert token(credential) == given["access_token"]
        assert given["refresh_token"] in server.good_refresh_tokens
        with connection.cursor() as cursor:
            cursor.execute("SELECT tokens FROM integrations_grant")
            (stored,) = cursor.fetchone()
        assert given["access_token"] not in stored

    @pytest.mark.parametrize("end", [services.revoke, services.remove])
    def test_keeps_nothing_for_what_was_revoked_or_removed_meanwhile(self, owner, server, end):
        credential = unconnected(owner, server)
        end(Credential.objects.get(pk=credential.pk))

        with pytest.raises(OAuthNotPossible):
            grants.connect(credential.pk, Tokens("late", "later", None))

        assert not Grant.objects.exists()

    def test_sends_the_secret_of_the_client_in_the_body_and_the_verifier_with_it(self, owner, server):
        connected(owner, server)

        (asked,) = server.asked
        assert (asked["grant_type"], asked["client_secret"]) == ("authorization_code", CLIENT_SECRET)
        assert len(asked["code_verifier"]) >= 43

    @pytest.mark.parametrize("wrong", ["state", "user", "late", "early", "no state", "other question"])
    def test_takes_no_answer_to_another_question(self, owner, server, wrong):
        credential = unconnected(owner, server)
        url, question = oauth.ask(credential, user_id=owner.pk, redirect_uri=BACK)
        given, user_id = server.allow(url), owner.pk
        match wrong:
            case "state":
                given["state"] = given["state"][:-1] + "x"
            case "no state":
                del given["state"]
            case "user":
                user_id = make_user().pk
            case "late":
                question = replace(question, asked_at=question.asked_at - 601)
            case "early":
                question = replace(question, asked_at=question.asked_at + 60)
            case "other question":
                _, question = oauth.ask(credential, user_id=owner.pk, redirect_uri=BACK)

        with pytest.raises(OAuthRequestInvalid):
            oauth.answer(question, user_id=user_id, given=given, redirect_uri=BACK)

        assert server.asked == []
        assert not Grant.objects.exists()

    def test_is_refused_by_the_provider_for_a_code_that_was_used(self, owner, server):
        credential = unconnected(owner, server)
        url, question = oauth.ask(credential, user_id=owner.pk, redirect_uri=BACK)
        given = server.allow(url)
        oauth.answer(question, user_id=owner.pk, given=given, redirect_uri=BACK)

        with pytest.raises(OAuthRefused):
            oauth.answer(question, user_id=owner.pk, given=given, redirect_uri=BACK)

    def test_says_what_the_provider_said(self, owner, server):
        credential = unconnected(owner, server)
        url, question = oauth.ask(credential, user_id=owner.pk, redirect_uri=BACK)

        with pytest.raises(OAuthRefused, match="not allowed"):
            oauth.answer(
                question, user_id=owner.pk, given={"error": "access_denied", "state": question.state}, redirect_uri=BACK
            )
        server.next_replies = [(503, {})]
        with pytest.raises(OAuthBusy):
            oauth.answer(question, user_id=owner.pk, given=server.allow(url), redirect_uri=BACK)

    @pytest.mark.parametrize(
        "parts",
        [
            {"token_url": "http://login.example.com/token"},
            {"authorize_url": "javascript:alert(1)"},
            {"token_url": ""},
        ],
    )
    def test_is_not_possible_without_a_safe_address(self, owner, server, parts):
        with pytest.raises(OAuthNotPossible):
            oauth.ask(unconnected(owner, server, **parts), user_id=owner.pk, redirect_uri=BACK)

    @pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:127.0.0.1]", "localhost", "db.svc.cluster.local"])
    def test_asks_for_tokens_at_no_address_inside(self, owner, server, host, monkeypatch):
        """S6: whoever writes the credential writes the address too."""
        allow_only(monkeypatch)
        addresses = {"authorize_url": "https://login.example.com/", "token_url": f"https://{host}/token"}
        credential = unconnected(owner, server, **addresses)
        _, question = oauth.ask(credential, user_id=owner.pk, redirect_uri=BACK)

        with pytest.raises(UrlForbidden):
            oauth.answer(question, user_id=owner.pk, given={"code": "c", "state": question.state}, redirect_uri=BACK)

        assert not Grant.objects.exists()

    def test_is_not_possible_for_another_kind(self, owner):
        with pytest.raises(OAuthNotPossible):
            oauth.ask(make_credential(owner), user_id=owner.pk, redirect_uri=BACK)


class TestTheDoor:
    """In the console: bound to the user and the session that asked."""

    @pytest.fixture
    def staff(self):
        user = make_user()
        user.is_staff = True
        user.save()
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="integrations"))
        return user

    def browser(self, user) -> Client:
        client = Client()
        client.force_login(user)
        return client

    def begun(self, client: Client, credential: Credential) -> str:
        answer = client.post(f"/admin/integrations/credential/{credential.pk}/connect/")
        assert answer.status_code == 200
        return answer["Refresh"].removeprefix("0; url=")

    def test_connects(self, staff, server):
        credential, client = unconnected(staff, server), self.browser(staff)
        url = self.begun(client, credential)

        answer = client.get("/oauth/callback" + query(server.allow(url)), follow=True)

        assert f"{credential.name} is connected." in answer.content.decode()
        assert token(credential).startswith("at-")

    def test_takes_an_answer_once(self, staff, server):
        credential, client = unconnected(staff, server), self.browser(staff)
        back = "/oauth/callback" + query(server.allow(self.begun(client, credential)))
        client.get(back)
        asked = len(server.asked)

        answer = client.get(back, follow=True)

        assert "OAUTH_REQUEST_INVALID" in answer.content.decode()
        assert len(server.asked) == asked

    @pytest.mark.parametrize("who", ["another session", "another user", "nobody"])
    def test_takes_no_answer_from(self, staff, server, who):
        credential, client = unconnected(staff, server), self.browser(staff)
        back = "/oauth/callback" + query(server.allow(self.begun(client, credential)))
        other = make_user()
        other.is_staff = True
        other.save()
        client = {"another session": self.browser(staff), "another user": self.browser(other), "nobody": Client()}[who]

        client.get(back)

        assert server.asked == []
        assert not Grant.objects.exists()

    def test_is_asked_by_post_only(self, staff, server):
        credential = unconnected(staff, server)

        assert self.browser(staff).get(f"/admin/integrations/credential/{credential.pk}/connect/").status_code == 405


class TestRefreshing:
    def test_replaces_a_token_before_it_ends(self, owner, server):
        credential = connected(owner, server)
        before = token(credential)
        age(credential)

        after = token(credential)

        assert after != before
        assert (server.refreshes, server.has_found_thief) == (1, False)
        assert token(credential) == after
        assert grant_of(credential).generation == 2

    def test_asks_nobody_while_the_token_is_good(self, owner, server):
        credential = connected(owner, server)

        assert {token(credential) for _ in range(3)} == {token(credential)}
        assert server.refreshes == 0

    def test_uses_a_short_lived_token_for_half_of_its_life(self, owner, server):
        server.expires_in = 20
        credential = connected(owner, server)

        token(credential)

        assert server.refreshes == 0
        age(credential, ends_in_s=-1)
        token(credential)
        assert server.refreshes == 1

    def test_happens_once_for_many_firings_in_many_threads(self, owner, server):
        server.delay_s = 0.3
        credential = connected(owner, server)
        for _ in range(3):
            age(credential)
            before = server.refreshes
            barrier = threading.Barrier(6)

            def many(barrier: threading.Barrier = barrier) -> list[str]:
                barrier.wait()

                async def gathered() -> list[str]:
                    return list(await asyncio.gather(*(token_of(credential) for _ in range(5))))

                return asyncio.run(gathered())

            with ThreadPoolExecutor(6) as pool:
                tokens = {one for found in [pool.submit(many) for _ in range(6)] for one in found.result()}

            assert len(tokens) == 1
            assert server.refreshes == before + 1
        assert not server.has_found_thief

    @pytest.mark.slow
    def test_happens_once_for_many_processes(self, owner, server):
        server.delay_s = 0.5
        credential = connected(owner, server)
        age(credential)
        code = (
            "import django; django.setup()\n"
            "import asyncio\n"
            "from functools import partial\n"
            "from executions.asking import looked_up\n"
            "from integrations import oauth, services\n"
            "async def main():\n"
            f"    look = partial(services.open_credential, owner_id={owner.pk}, provider='http')\n"
            "    opened = await looked_up(look)\n"
            "    return (await oauth.refreshed(opened, looked_up)) if opened.is_stale else opened\n"
            "print(asyncio.run(main()).access_token)\n"
        )
        processes = [
            subprocess.Popen([sys.executable, "-c", code], env=environment_of_processes(), stdout=subprocess.PIPE)
            for _ in range(4)
        ]

        tokens = {process.communicate(timeout=120)[0].decode().strip() for process in processes}

        assert len(tokens) == 1
        assert (server.refreshes, server.has_found_thief) == (1, False)

    def test_holds_no_connection_while_it_asks(self, owner, server):
        server.delay_s = 1.0
        credential = connected(owner, server)
        age(credential)
        seen: list[int] = []

        def count() -> None:
            server_is_asked.wait(10)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND (state <> 'idle' OR query ILIKE '%%integrations_grant%%')"
                )
                seen.append(cursor.fetchone()[0])
            connection.close()

        server_is_asked = threading.Event()
        usual = server.reply

        def reply(asked: dict[str, str], headers: dict[str, str]) -> Any:
            server_is_asked.set()
            return usual(asked, headers)

        server.reply = reply  # type: ignore[method-assign]
        watcher = threading.Thread(target=count)
        connection.close()
        watcher.start()

        token(credential)
        watcher.join(10)

        assert seen == [0]

    def test_goes_on_when_the_firing_that_began_it_is_stopped(self, owner, server):
        server.delay_s = 0.3
        credential = connected(owner, server)
        age(credential)

        async def stopped() -> str:
            opened = services.OpenCredential("http", kind="oauth2", id=credential.pk)
            first = asyncio.create_task(oauth.refreshed(opened, looked_up))
            while not oauth._under_way:
                await asyncio.sleep(0.01)
            first.cancel()
            second = await oauth.refreshed(opened, looked_up)
            await http.close()
            return second.access_token

        given = asyncio.run(stopped())

        assert grant_of(credential).tokens.reveal()["access_token"] == given
        assert (server.refreshes, server.has_found_thief) == (1, False)


LOST_ANSWERS = [
    pytest.param("lost", id="a broken connection"),
    pytest.param((500, {}), id="a 500"),
    pytest.param((200, {"no": "token"}), id="no token"),
    pytest.param((302, {"location": "https://elsewhere.example/"}), id="a redirect"),
]


class TestWhatGoesWrong:
    """The table in docs/credentials.md, line by line."""

    @pytest.mark.parametrize("reply", [(429, {}), (503, {}), (400, {"error": "slow_down"})])
    def test_to_be_asked_later_uses_up_nothing(self, owner, server, reply):
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        server.next_replies = [reply]

        with pytest.raises(CredentialRefreshBusy):
            token(credential)

        assert token(credential).startswith("at-")
        assert not server.has_found_thief

    def test_a_token_that_is_still_good_for_a_moment_is_used(self, owner, server):
        credential = connected(owner, server)
        before = token(credential)
        age(credential, ends_in_s=30)
        server.next_replies = [(503, {})]

        assert token(credential) == before

    def test_a_provider_that_can_not_be_reached_has_used_up_nothing(self, owner, server):
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        secret = dict(credential.secret.reveal())
        Credential.objects.filter(pk=credential.pk).update(
            secret=services.Sealed(secret | {"token_url": "http://127.0.0.1:9/token"})
        )

        with pytest.raises(CredentialRefreshBusy):
            token(credential)

        Credential.objects.filter(pk=credential.pk).update(secret=services.Sealed(secret))
        assert token(credential).startswith("at-")

    def test_a_refusal_is_kept_with_its_reason(self, owner, server):
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        server.next_replies = [(400, {"error": "invalid_grant", "error_description": "revoked by ann"})]

        with pytest.raises(CredentialRefreshFailed, match="revoked by ann"):
            token(credential)
        with pytest.raises(CredentialRefreshFailed, match="revoked by ann"):
            token(credential)

        assert server.refreshes == 1

    @pytest.mark.parametrize("reply", LOST_ANSWERS)
    def test_after_a_lost_answer_the_refresh_token_is_not_shown_again(self, owner, server, reply):
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        server.next_replies = [reply]

        for _ in range(2):
            with pytest.raises(CredentialRefreshFailed, match="lost"):
                token(credential)

        assert (server.refreshes, server.has_found_thief) == (1, False)

    def test_it_is_where_the_provider_is_known_to_leave_them_as_they_are(self, owner, server):
        server.is_rotating = False
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        token(credential)
        age(credential, ends_in_s=-1)
        server.next_replies = ["lost"]

        with pytest.raises(CredentialRefreshBusy):
            token(credential)

        assert token(credential).startswith("at-")
        assert server.refreshes == 3

    def test_a_worker_that_was_killed_while_it_asked_is_noticed(self, owner, server):
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        turn = grants.look(credential.pk)
        assert isinstance(turn, grants.Turn)
        assert grants.look(credential.pk) is None
        Grant.objects.update(refreshing_until=Now() - timedelta(seconds=1))

        with pytest.raises(CredentialRefreshFailed, match="lost"):
            token(credential)

        assert server.refreshes == 0

    def test_an_answer_that_comes_after_all_counts(self, owner, server):
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        turn = grants.look(credential.pk)
        assert isinstance(turn, grants.Turn)
        Grant.objects.update(refreshing_until=Now() - timedelta(seconds=1))
        with pytest.raises(CredentialRefreshFailed):
            token(credential)

        asyncio.run(oauth._use(turn, looked_up))

        assert token(credential).startswith("at-")
        assert server.refreshes == 1

    def test_a_new_connection_counts_more_than_an_old_answer(self, owner, server):
        credential = connected(owner, server)
        age(credential, ends_in_s=-1)
        turn = grants.look(credential.pk)
        assert isinstance(turn, grants.Turn)
        url, question = oauth.ask(credential, user_id=owner.pk, redirect_uri=BACK)
        oauth.answer(question, user_id=owner.pk, given=server.allow(url), redirect_uri=BACK)
        newer = token(credential)

        assert asyncio.run(oauth._use(turn, looked_up)) == ""

        services.forget()
        assert token(credential) == newer

    def test_without_a_refresh_token_it_has_to_be_connected_again(self, owner, server):
        credential = connected(owner, server)
        Grant.objects.update(tokens=services.Sealed({"access_token": "a", "refresh_token": ""}))
        age(credential, ends_in_s=-1)

        with pytest.raises(CredentialRefreshFailed):
            token(credential)

        assert server.refreshes == 0


class TestBeforeItIsConnected:
    def test_it_is_told_by_name_and_passed_over_without(self, owner, server):
        credential = unconnected(owner, server)

        with pytest.raises(CredentialNotConnected):
            token(credential)
        with pytest.raises(CredentialMissing):
            services.open_credential(owner_id=owner.pk, provider="http")
        (why,) = services.lacking(owner_id=owner.pk, wanted=[("http", credential.pk)]).values()
        assert isinstance(why, CredentialNotConnected)

    def test_revoking_takes_what_was_allowed_along(self, owner, server):
        credential = connected(owner, server)

        services.revoke(credential)

        assert not Grant.objects.exists()
