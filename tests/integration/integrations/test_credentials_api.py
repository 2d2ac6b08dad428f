"""Credentials over the API: secrets go in and never come out, and each belongs to its owner (S12, S13, S26)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from integrations import services
from integrations.models import Credential
from tests.factories import make_user
from tests.keys import make_credential, make_group, new_secret

pytestmark = pytest.mark.django_db

CREDENTIALS = "/api/v1/credentials/"
KEPT = {"name": "k", "provider": "openai", "kind": "api_key"}


@pytest.fixture
def owner():
    return make_user()


@pytest.fixture
def api(owner):
    return client_of(owner)


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def address(credential: Credential, verb: str = "") -> str:
    return f"{CREDENTIALS}{credential.pk}/" + (f"{verb}/" if verb else "")


class TestCreate:
    def test_keeps_a_secret_and_shows_what_tells_it_from_others(self, api, owner):
        answer = api.post(CREDENTIALS, KEPT | {"secret": {"api_key": "sk-0123456789abcdef"}})

        assert answer.status_code == 201
        assert (answer.data["last4"], answer.data["hint"]) == ("cdef", "…cdef")
        assert len(answer.data["fingerprint"]) == 16
        assert Credential.objects.get().owner == owner

    @pytest.mark.parametrize(
        ("given", "path"),
        [
            ({"secret": {}}, "secret.api_key"),
            ({"secret": {"api_key": "k" * 20_000}}, "secret.api_key"),
            ({"secret": {"api_key": 7}}, "secret.api_key"),
            ({"secret": {"api_key": "a\nb"}}, "secret.api_key"),
            ({"secret": {"api_key": "sk-schlüssel"}}, "secret.api_key"),
            ({"secret": {"api_key": "sk-\u200bpasted"}}, "secret.api_key"),
            (
                {
                    "provider": "http",
                    "kind": "host_headers",
                    "secret": {"headers": {"X-Key": "é"}},
                    "base_url": "https://a.example",
                },
                "secret.headers.X-Key",
            ),
            (
                {
                    "provider": "http",
                    "kind": "host_headers",
                    "secret": {"headers": {"Host": "b"}},
                    "base_url": "https://a.example",
                },
                "secret.headers.Host",
            ),
            ({"secret": {"api_key": "k"}, "max_concurrent": 0}, "max_concurrent"),
            ({"secret": {"api_key": "k"}, "rate_per_second": 0}, "rate_per_second"),
            ({"secret": {"api_key": "k"}, "rate_per_second": "NaN"}, "rate_per_second"),
            ({"secret": {"api_key": "k", "password": "p"}}, "secret.password"),
            ({"secret": "sk-plain-text"}, "secret"),
            ({"secret": {"api_key": "k"}, "provider": "nobody"}, "provider"),
            ({"secret": {"username": "u", "password": "p"}, "kind": "user_password"}, "kind"),
            ({"secret": {"api_key": "k"}, "base_url": "no address"}, "base_url"),
            ({"secret": {"api_key": "k"}, "allowed_hosts": ["https://x/"]}, "allowed_hosts"),
            ({"secret": {"api_key": "k"}, "group": "a group that is not mine"}, "group"),
            ({"secret": {"api_key": "k"}, "name": ""}, "name"),
        ],
    )
    def test_refuses_what_can_not_be_kept_and_says_where(self, api, given, path):
        answer = api.post(CREDENTIALS, KEPT | given)

        assert answer.status_code in (400, 422)
        said = answer.json()
        assert path in [said.get("path"), *(error["path"] for error in said.get("errors", []))]
        assert "plain-text" not in answer.content.decode()
        assert not Credential.objects.exists()

    @pytest.mark.parametrize("field", ["owner", "owner_id", "id", "last4", "fingerprint", "revoked_at", "created_at"])
    def test_takes_no_more_than_it_says(self, api, field):
        """S14: what is not asked for is not taken."""
        answer = api.post(CREDENTIALS, KEPT | {"secret": {"api_key": "sk-0123456789abcdef"}, field: "7"})

        assert (answer.status_code, [one["path"] for one in answer.data["errors"]]) == (400, [field])
        assert not Credential.objects.exists()


class TestS26:
    def test_no_answer_holds_a_secret(self, api, owner):
        secret = new_secret()
        answers = [api.post(CREDENTIALS, KEPT | {"secret": {"api_key": secret}})]
        credential = Credential.objects.get()
        other = new_secret()
        answers += [
            api.get(CREDENTIALS),
            api.get(address(credential)),
            api.get(address(credential), HTTP_ACCEPT="text/html"),
            api.patch(address(credential), {"name": "other"}),
            api.patch(address(credential), {"secret": {"api_key": other}}),
            api.options(CREDENTIALS),
            api.get(address(credential, "used-by")),
            api.post(address(credential, "revoke")),
        ]

        text = "\n".join(answer.content.decode() for answer in answers)
        assert secret[:-4] not in text
        assert other[:-4] not in text
        assert '"secret"' not in text.replace('"secret":{"type"', "")

    def test_no_form_of_the_row_shows_it(self, owner):
        secret = new_secret()
        credential = make_credential(owner, secret)

        shown = [repr(credential), str(credential), repr(credential.__dict__), repr(services.opened(credential))]

        assert not any(secret[:12] in text for text in shown)


class TestUpdate:
    def test_writes_a_new_secret_and_lets_a_revoked_one_live_again(self, api, owner):
        credential = make_credential(owner)
        before = credential.fingerprint
        services.revoke(credential)

        answer = api.patch(address(credential), {"secret": {"api_key": "sk-another-secret-9999"}})

        assert (answer.status_code, answer.data["last4"], answer.data["is_revoked"]) == (200, "9999", False)
        assert answer.data["fingerprint"] != before

    @pytest.mark.parametrize(
        "change", [{"base_url": "https://evil.example"}, {"allowed_hosts": ["api.openai.com", "evil.example"]}]
    )
    def test_sends_a_secret_elsewhere_only_for_who_knows_it(self, api, owner, change):
        credential = make_credential(owner)

        answer = api.patch(address(credential), change)

        assert (answer.status_code, answer.json()["path"]) == (422, "secret")
        credential.refresh_from_db()
        assert (credential.base_url, credential.allowed_hosts) == ("", [])
        assert api.patch(address(credential), change | {"secret": {"api_key": "k-known"}}).status_code == 200

    def test_may_send_it_to_fewer_hosts(self, api, owner):
        credential = make_credential(owner, allowed_hosts=["a.example", "b.example"])

        assert api.patch(address(credential), {"allowed_hosts": ["a.example"]}).status_code == 200

    def test_sets_and_lifts_what_limits_it(self, api, owner):
        credential = make_credential(owner)

        limited = api.patch(address(credential), {"max_concurrent": 2, "rate_per_second": 0.5}, format="json")
        lifted = api.patch(address(credential), {"max_concurrent": None}, format="json")

        assert (limited.data["max_concurrent"], limited.data["rate_per_second"]) == (2, 0.5)
        assert (lifted.data["max_concurrent"], lifted.data["rate_per_second"]) == (None, 0.5)

    @pytest.mark.parametrize("field", ["provider", "kind"])
    def test_leaves_what_it_is(self, api, owner, field):
        credential = make_credential(owner)

        api.patch(address(credential), {field: "smtp" if field == "provider" else "user_password"})

        credential.refresh_from_db()
        assert (credential.provider, credential.kind) == ("openai", "api_key")

    def test_says_that_it_will_end(self, api, owner):
        credential = make_credential(owner)

        answer = api.patch(address(credential), {"expires_at": (now() + timedelta(days=3)).isoformat()})

        assert (answer.data["is_expiring"], answer.data["is_expired"]) == (True, False)


class TestRevoke:
    def test_destroys_the_secret_and_keeps_the_row(self, api, owner):
        credential = make_credential(owner)

        answer = api.post(address(credential, "revoke"))

        assert answer.data["is_revoked"] is True
        credential.refresh_from_db()
        assert credential.secret.reveal() == {}

    def test_deleting_takes_the_row_too(self, api, owner):
        credential = make_credential(owner)

        assert api.delete(address(credential)).status_code == 204
        assert not Credential.objects.exists()


class TestSharing:
    def test_with_a_group_lets_its_members_see_and_use_it_and_no_more(self, api, owner):
        member = make_user()
        group = make_group(owner, member)
        credential = make_credential(owner)

        assert api.patch(address(credential), {"group": group.name}).data["group"] == group.name

        theirs = client_of(member)
        shown = theirs.get(address(credential))
        assert (shown.status_code, shown.data["is_own"]) == (200, False)
        assert [one["id"] for one in theirs.get(CREDENTIALS).data["results"]] == [str(credential.pk)]
        assert theirs.patch(address(credential), {"name": "mine now"}).status_code == 404
        assert theirs.delete(address(credential)).status_code == 404
        assert theirs.post(address(credential, "revoke")).status_code == 404
        assert services.find(credential.pk, user_id=member.pk) == credential

    def test_ends_when_it_is_taken_back(self, api, owner):
        member = make_user()
        credential = make_credential(owner, group=make_group(owner, member))

        api.patch(address(credential), {"group": None})

        assert client_of(member).get(address(credential)).status_code == 404
        assert not Credential.objects.usable_by(member.pk).exists()


@pytest.mark.parametrize(
    ("method", "verb"),
    [("get", ""), ("patch", ""), ("delete", ""), ("post", "revoke"), ("get", "used-by")],
)
def test_another_owners_is_answered_as_if_it_did_not_exist(api, method, verb):
    """S12."""
    theirs = make_credential(make_user())
    nobodys = Credential(pk="01a20529-b9a2-76eb-9fe4-3d19b3c96710")

    answers = [getattr(api, method)(address(one, verb)) for one in (theirs, nobodys)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    theirs.refresh_from_db()
    assert theirs.revoked_at is None
