"""The console's pages of credentials: what they show, what they do, and that no secret is on them (S26)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_httpserver import HTTPServer
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from blocks import registry
from graphs import services as graphs
from integrations import services
from integrations.models import Credential, Grant
from integrations.trial import try_out
from tests.factories import document_of, make_published, make_user
from tests.keys import KEYED, asking, make_credential, make_group, new_secret
from tests.outside import address_of

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = "/admin/integrations/credential/"
#: What a browser sends of the form's other fields.
EMPTY = {"base_url": "", "hosts": "", "group": "", "expires_at_0": "", "expires_at_1": ""}


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    registry.register(*KEYED)
    services.forget()
    yield
    services.forget()


def make_staff(*permissions: str):
    user = make_user()
    user.is_staff = True
    user.save()
    codenames = [f"{name}_credential" for name in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def staff():
    return make_staff("view", "add", "change", "delete")


@pytest.fixture
def browser(staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def page(browser: Client, credential: Credential) -> str:
    return browser.get(f"{PAGES}{credential.pk}/change/").content.decode()


class TestTheList:
    def test_tells_them_apart_and_how_they_stand(self, browser):
        make_credential(make_user(), "sk-0123456789abcdef", name="good one")
        make_credential(make_user(), name="soon over", expires_at=now() + timedelta(days=3))
        over = make_credential(make_user(), name="over")
        services.update(over, expires_at=now() - timedelta(days=1))
        services.revoke(make_credential(make_user(), name="gone"))

        shown = browser.get(PAGES).content.decode()

        assert "…cdef" in shown
        assert all(word in shown for word in ("good", "expiring", "expired", "revoked"))

    def test_asks_the_database_as_often_for_many(self, browser, django_assert_max_num_queries):
        for _ in range(12):
            make_credential(make_user())

        with django_assert_max_num_queries(12):
            browser.get(PAGES)


class TestAdding:
    def test_keeps_what_was_typed_in(self, browser):
        owner = make_user()
        secret = new_secret()

        answer = browser.post(
            f"{PAGES}add/",
            EMPTY | {"owner": owner.username, "name": "k", "provider": "openai", "kind": "api_key", "api_key": secret},
            follow=True,
        )

        credential = Credential.objects.get()
        assert (credential.owner, credential.secret.reveal()) == (owner, {"api_key": secret})
        assert secret not in answer.content.decode()
        assert not any(secret in f"{entry.object_repr}{entry.change_message}" for entry in LogEntry.objects.all())

    def test_takes_headers_and_hosts(self, browser):
        owner = make_user()
        given = {"owner": owner.username, "name": "k", "provider": "http", "kind": "host_headers"}
        given |= {
            "headers": "X-Key: abc:def\nX-Other: ghi",
            "base_url": "https://a.example",
            "hosts": "a.example b.example:8443",
            "max_concurrent": "4",
            "rate_per_second": "0.5",
        }

        browser.post(f"{PAGES}add/", EMPTY | given)

        credential = Credential.objects.get()
        assert credential.secret.reveal() == {"headers": {"X-Key": "abc:def", "X-Other": "ghi"}}
        assert credential.allowed_hosts == ["a.example", "b.example:8443"]
        assert (credential.max_concurrent, credential.rate_per_second) == (4, 0.5)

    def test_says_what_is_wrong_without_showing_the_secret(self, browser):
        secret = new_secret()
        given = {"owner": "nobody", "name": "k", "provider": "openai", "kind": "api_key", "api_key": secret}

        answer = browser.post(f"{PAGES}add/", EMPTY | given)

        assert "There is no user of this name." in answer.content.decode()
        assert secret not in answer.content.decode()
        assert not Credential.objects.exists()


class TestThePage:
    def test_shows_no_secret_where_it_is_used_and_what_can_be_done(self, browser):
        owner, secret = make_user(), new_secret()
        credential = make_credential(owner, secret)
        make_published([asking("one", uses=credential)], owner=owner)
        graphs.create(owner_id=owner.pk, document=document_of([asking("two", uses=credential)]))

        shown = page(browser, credential)

        assert secret[:-4] not in shown
        assert credential.fingerprint in shown
        assert "<code>one</code>" in shown
        assert "<code>two</code>" in shown
        assert f"{PAGES}{credential.pk}/test/" in shown
        assert f"{PAGES}{credential.pk}/connect/" not in shown

    def test_changes_it_and_leaves_the_secret_if_none_is_typed_in(self, browser):
        credential = make_credential(make_user(), "sk-0123456789abcdef")

        browser.post(f"{PAGES}{credential.pk}/change/", EMPTY | {"name": "renamed", "api_key": ""})

        credential.refresh_from_db()
        assert (credential.name, credential.secret.reveal()) == ("renamed", {"api_key": "sk-0123456789abcdef"})

    def test_does_not_send_it_elsewhere_without_the_secret(self, browser):
        credential = make_credential(make_user())

        answer = browser.post(
            f"{PAGES}{credential.pk}/change/", EMPTY | {"name": "k", "hosts": "evil.example", "api_key": ""}
        )

        assert "has to be written anew" in answer.content.decode()
        credential.refresh_from_db()
        assert credential.allowed_hosts == []

    def test_shares_it_with_a_group_of_its_owner_only(self, browser):
        owner = make_user()
        credential, theirs = make_credential(owner), make_group(make_user())

        answer = browser.post(f"{PAGES}{credential.pk}/change/", EMPTY | {"name": "k", "group": theirs.pk})

        assert "owner is not in this group" in answer.content.decode()

    def test_revokes(self, browser):
        credential = make_credential(make_user())

        answer = browser.post(f"{PAGES}{credential.pk}/revoke/", follow=True)

        assert "revoked" in answer.content.decode()
        assert Credential.objects.get().secret.reveal() == {}

    def test_of_one_that_lost_its_grant_says_why(self, browser):
        owner = make_user()
        parts = {"client_id": "c", "client_secret": "s3cret-of-client"}
        credential = make_credential(owner, provider="github", kind="oauth2", parts=parts)
        Grant.objects.create(
            credential=credential,
            tokens=services.Sealed({"access_token": "a", "refresh_token": ""}),
            failure="It was lost.",
        )

        shown = page(browser, credential)

        assert "It was lost." in shown
        assert "connect again" in shown
        assert f"{PAGES}{credential.pk}/connect/" in shown
        assert "http://testserver/oauth/callback" in shown

    @pytest.mark.parametrize("verb", ["test", "revoke", "connect"])
    def test_lets_nobody_do_anything_who_may_only_look(self, verb):
        credential = make_credential(make_user())
        client = Client()
        client.force_login(make_staff("view"))

        answer = client.post(f"{PAGES}{credential.pk}/{verb}/")

        assert answer.status_code == 403
        shown = page(client, credential)
        assert 'name="api_key"' not in shown
        assert f"/{verb}/" not in shown
        assert Credential.objects.get().revoked_at is None

    def test_refuses_a_post_from_elsewhere(self):
        """S22."""
        credential = make_credential(make_user())
        client = Client(enforce_csrf_checks=True)
        client.force_login(make_staff("view", "change"))

        assert client.post(f"{PAGES}{credential.pk}/revoke/").status_code == 403


class TestTrying:
    @pytest.mark.parametrize(
        ("status", "is_good", "said"),
        [(200, True, "takes it"), (401, False, "does not accept"), (500, False, "answered 500")],
    )
    def test_asks_the_provider_as_a_block_would(self, browser, httpserver: HTTPServer, status, is_good, said):
        secret = "sk-0123456789abcdef"
        httpserver.expect_request("/v1/models", headers={"Authorization": f"Bearer {secret}"}).respond_with_data(
            f"You have sent {secret}", status=status
        )
        owner = make_user()
        credential = make_credential(owner, secret, base_url=f"{address_of(httpserver)}/v1")

        shown = browser.post(f"{PAGES}{credential.pk}/test/", follow=True).content.decode()
        client = APIClient()
        client.force_authenticate(owner)
        answer = client.post(f"/api/v1/credentials/{credential.pk}/test/")

        assert said in shown
        assert (answer.status_code, answer.data["is_good"]) == (200, is_good)
        assert secret not in shown + answer.content.decode()

    def test_goes_to_its_own_hosts_only(self, httpserver: HTTPServer):
        owner = make_user()
        credential = make_credential(
            owner, "sk-0123456789abcdef", base_url=f"{address_of(httpserver)}/v1", allowed_hosts=["other.example"]
        )
        client = APIClient()
        client.force_authenticate(owner)

        answer = client.post(f"/api/v1/credentials/{credential.pk}/test/")

        assert (answer.data["is_good"], answer.data["code"]) == (False, "CREDENTIAL_HOST_FORBIDDEN")
        assert httpserver.log == []

    def test_of_slack_looks_at_what_the_answer_says(self, httpserver: HTTPServer):
        httpserver.expect_request("/auth.test", method="POST").respond_with_json({"ok": False, "error": "invalid_auth"})
        owner = make_user()
        credential = make_credential(owner, "xoxb-0123456789", provider="slack", base_url=address_of(httpserver))

        assert not try_out(credential).is_good

    def test_is_another_owners_to_ask_for(self):
        client = APIClient()
        client.force_authenticate(make_user())

        assert client.post(f"/api/v1/credentials/{make_credential(make_user()).pk}/test/").status_code == 404
