"""The API of webhooks: whose they are, what is told of a secret, and what can be done with what came."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from executions.models import Delivery, Execution, Webhook
from integrations import samples
from integrations.signatures import SignatureScheme
from tests.factories import make_user
from tests.webhooks import SECRET, Sender, make_listener, make_sender

pytestmark = pytest.mark.django_db

WEBHOOKS = "/api/v1/webhooks/"


@pytest.fixture
def user():
    return make_user("ada")


@pytest.fixture
def api(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def version(user):
    return make_listener(payload={}, owner=user)


def ask(version: Any, **fields: Any) -> dict[str, Any]:
    return {"graph": str(version.graph_id), "name": "Orders", **fields}


def at(webhook: Webhook, path: str = "") -> str:
    return f"{WEBHOOKS}{webhook.pk}/{path}"


class TestANewWebhook:
    def test_tells_its_secret_once(self, api, version):
        made = api.post(WEBHOOKS, ask(version))

        assert made.status_code == 201
        secret = made.data["secret"]
        webhook = Webhook.objects.get()
        assert Sender(webhook, secret).send({"a": 1}).status_code == 202
        for answer in (api.get(WEBHOOKS), api.get(at(webhook)), api.patch(at(webhook), {"name": "x"})):
            assert answer.status_code == 200
            assert secret not in answer.content.decode()
        assert api.get(at(webhook)).data["secret_last4"] == secret[-4:]

    def test_says_where_to_send_to(self, api, version):
        made = api.post(WEBHOOKS, ask(version))

        assert made.data["url"] == f"http://testserver/webhooks/{made.data['id']}"

    @pytest.mark.parametrize(
        ("provider", "scheme"), [("github", "github"), ("slack", "slack"), ("openai", "standard-webhooks")]
    )
    def test_is_signed_as_its_provider_signs(self, api, version, provider, scheme):
        made = api.post(WEBHOOKS, ask(version, provider=provider, **({"secret": SECRET} if scheme == "slack" else {})))

        assert (made.status_code, made.data["scheme"]) == (201, scheme)

    @pytest.mark.parametrize(
        ("fields", "status", "where"),
        [
            ({"scheme": "md5"}, 400, "scheme"),
            ({"provider": "nobody"}, 400, "provider"),
            ({"provider": "smtp"}, 400, "provider"),
            ({"provider": "github", "scheme": "github"}, 400, "provider"),
            ({"scheme": "stripe"}, 422, "secret"),
            ({"secret": "short"}, 422, "secret"),
            ({"scheme": "standard-webhooks", "secret": "not base64, but long enough"}, 422, "secret"),
            ({"events": ["x" * 201]}, 400, "events.0"),
            ({"events": ["a"] * 101}, 422, "events"),
            ({"mapping": {"nothing": "/a"}}, 422, "mapping.nothing"),
            ({"mapping": {"payload": "a.b"}}, 422, "mapping.payload"),
            ({"mapping": {"payload": "header:"}}, 422, "mapping.payload"),
            ({"mapping": {"payload": {"a": 1}}}, 400, "mapping.payload"),
            ({"is_enabled": "yes"}, 400, "is_enabled"),
            ({"name": "a\u0000b"}, 400, "name"),
        ],
    )
    def test_is_refused_with_the_field_that_is_wrong(self, api, version, fields, status, where):
        answer = api.post(WEBHOOKS, ask(version, **fields))

        path = answer.data["errors"][0]["path"] if status == 400 else answer.data["path"]
        assert (answer.status_code, path) == (status, where)
        assert Webhook.objects.count() == 0

    def test_can_not_be_of_somebody_elses_graph(self, api):
        answers = [
            api.post(WEBHOOKS, ask(make_listener("a"))),
            api.post(WEBHOOKS, {"graph": str(uuid4()), "name": "x"}),
        ]

        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content

    def test_takes_nothing_that_is_not_asked_for(self, api, version):
        more = {"owner": make_user().pk, "id": str(uuid4()), "last4": "xxxx", "created_at": "2000-01-01T00:00:00Z"}

        answer = api.post(WEBHOOKS, ask(version, **more))

        assert (answer.status_code, {one["path"] for one in answer.data["errors"]}) == (400, set(more))
        assert not Webhook.objects.exists()


class TestAWebhook:
    @pytest.fixture
    def sender(self, version):
        return make_sender(version, "github")

    def test_is_changed_and_removed(self, api, sender):
        changed = api.patch(at(sender.webhook), {"is_enabled": False, "events": ["push"], "mapping": {"payload": "/a"}})

        assert (changed.data["is_enabled"], changed.data["events"], changed.data["mapping"]) == (
            False,
            ["push"],
            {"payload": "/a"},
        )
        assert api.delete(at(sender.webhook)).status_code == 204
        assert sender.send({}).status_code == 401

    def test_keeps_what_can_not_be_changed(self, api, sender):
        api.patch(at(sender.webhook), {"secret": "x" * 30, "scheme": "generic", "graph": str(uuid4()), "owner": 1})

        assert sender.send({}).status_code == 202

    def test_gets_another_secret_and_takes_both_for_a_while(self, api, sender):
        rotated = api.post(at(sender.webhook, "rotate/"), {"overlap_s": 60})

        new = Sender(sender.webhook, rotated.data["secret"])
        assert rotated.data["previous_secret_until"] is not None
        assert [sender.send({}, delivery_id="a").status_code, new.send({}, delivery_id="b").status_code] == [202, 202]

    def test_gets_another_secret_at_once(self, api, sender):
        rotated = api.post(at(sender.webhook, "rotate/"), {"overlap_s": 0})

        assert rotated.data["previous_secret_until"] is None
        assert sender.send({}).status_code == 401

    def test_lists_its_samples_and_takes_them(self, api, sender):
        names = [one["name"] for one in api.get(at(sender.webhook, "samples/")).data]

        tried = api.post(at(sender.webhook, "try/"), {"sample": names[0]})

        assert names == ["push", "issues.opened", "pull_request.opened"]
        assert (tried.status_code, tried.data["status"], tried.data["event"]) == (202, "ACCEPTED", "push")
        assert Execution.objects.get().inputs == {"payload": tried.data["payload"]}

    def test_takes_a_payload_of_ones_own(self, api, sender):
        tried = api.post(at(sender.webhook, "try/"), {"payload": {"action": "opened"}, "event": "issues"})

        assert (tried.data["event"], tried.data["payload"]) == ("issues.opened", {"action": "opened"})

    @pytest.mark.parametrize("asked", [{}, {"sample": "push", "payload": 1}])
    def test_is_tried_with_one_of_both(self, api, sender, asked):
        assert api.post(at(sender.webhook, "try/"), asked).status_code == 400

    def test_has_no_sample_of_another_name(self, api, sender):
        assert api.post(at(sender.webhook, "try/"), {"sample": "none"}).status_code == 422


class TestDeliveries:
    @pytest.fixture
    def sender(self, version):
        sender = make_sender(version, events=["a"])
        for name, event in (("one", "a"), ("two", "b")):
            assert sender.send({"event": event, "secret": sender.secret}, delivery_id=name).status_code == 202
        return sender

    def test_are_listed_without_what_they_brought(self, api, sender):
        listed = api.get(at(sender.webhook, "deliveries/")).data["results"]

        assert [(row["name"], row["event"], row["status"], row["reason"]) for row in listed] == [
            ("two", "b", "IGNORED", "EVENT_NOT_SELECTED"),
            ("one", "a", "ACCEPTED", ""),
        ]
        assert listed[1]["execution"] == str(Execution.objects.get().pk)
        assert "payload" not in listed[0]

    def test_are_found(self, api, sender):
        def names(**query: Any) -> list[str]:
            return [row["name"] for row in api.get(at(sender.webhook, "deliveries/"), query).data["results"]]

        assert names(status="IGNORED") == ["two"]
        assert names(event="a") == ["one"]
        assert names(execution=Execution.objects.get().pk) == ["one"]

    def test_show_what_they_brought_without_the_secret(self, api, sender):
        delivery = Delivery.objects.order_by("id").first()

        shown = api.get(at(sender.webhook, f"deliveries/{delivery.pk}/")).data

        assert shown["payload"] == {"event": "a", "secret": "***"}
        assert shown["headers"] == {"content-type": "application/json", "x-webhook-id": "one"}

    def test_are_started_once_more(self, api, sender):
        delivery = Delivery.objects.order_by("id").last()

        again = api.post(at(sender.webhook, f"deliveries/{delivery.pk}/replay/"))

        assert (again.status_code, again.data["replay_of"], again.data["name"]) == (202, str(delivery.pk), "")
        assert Execution.objects.count() == 2


class TestSomebodyElse:
    def test_finds_nothing_of_mine(self, api):
        theirs = make_sender()
        theirs.send({})
        delivery = Delivery.objects.get()
        mine = make_sender(make_listener("payload", owner=make_user()))
        asked = [
            ("get", at(theirs.webhook)),
            ("patch", at(theirs.webhook)),
            ("delete", at(theirs.webhook)),
            ("post", at(theirs.webhook, "rotate/")),
            ("get", at(theirs.webhook, "samples/")),
            ("post", at(theirs.webhook, "try/")),
            ("get", at(theirs.webhook, "deliveries/")),
            ("get", at(theirs.webhook, f"deliveries/{delivery.pk}/")),
            ("post", at(theirs.webhook, f"deliveries/{delivery.pk}/replay/")),
            ("get", at(mine.webhook, f"deliveries/{delivery.pk}/")),
        ]

        answers = [
            getattr(api, verb)(address, {"payload": 1} if address.endswith("try/") else None) for verb, address in asked
        ]

        unknown = api.get(f"{WEBHOOKS}{uuid4()}/")
        assert {answer.status_code for answer in answers} == {404}
        assert {answer.content for answer in answers} == {unknown.content}
        assert api.get(WEBHOOKS).data["results"] == []

    def test_finds_no_delivery_of_one_webhook_at_another(self, api, user, version):
        one, two = make_sender(version), make_sender(version)
        one.send({})

        assert api.get(at(two.webhook, f"deliveries/{Delivery.objects.get().pk}/")).status_code == 404


@pytest.mark.parametrize("scheme", list(SignatureScheme))
def test_every_scheme_has_samples_that_are_taken(scheme):
    sender = make_sender(scheme=scheme)
    client = APIClient()
    client.force_authenticate(sender.webhook.owner)

    for sample in samples.of_scheme(scheme):
        tried = client.post(at(sender.webhook, "try/"), {"sample": sample.name})
        assert (tried.data["status"], tried.data["event"]) == ("ACCEPTED", sample.name)


def test_a_delivery_is_taken_by_the_clock_of_the_server():
    sender = make_sender(scheme="standard-webhooks")

    assert sender.send({}, at=time.time() - 290).status_code == 202
