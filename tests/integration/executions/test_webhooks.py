"""The address of a webhook: who is let in, what is started, and that nothing is started twice."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections
from django.test import Client

from agentplatform.lib import crypto
from agentplatform.lib.clock import now
from agentplatform.lib.crypto import Sealed
from agentplatform.lib.ids import first_id_at
from executions import deliveries, own_webhooks, pruning, statements
from executions.errors import DeliveryIdTaken, DeliveryIgnored, InputsInvalid
from executions.invariants import check
from executions.models import Delivery, DeliveryStatus, Execution, Wait, Webhook
from executions.webhooks import WebhookHandler
from graphs.errors import GraphArchived
from graphs.models import Graph
from integrations import signatures
from integrations.signatures import SignatureScheme
from tests.factories import make_execution
from tests.waiters import make_wait
from tests.webhooks import DATA, Sender, as_form, github_payload, make_listener, make_sender

pytestmark = pytest.mark.django_db

PAYLOAD = {"order": 12, "items": [{"name": "tea"}]}


def _told(call: Any, tell: Any) -> Any:
    """Return what does the same, and tells that it was asked."""

    def also_tell(*args: Any, **options: Any) -> Any:
        tell(*args)
        return call(*args, **options)

    return also_tell


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The hot statements that are run, by name."""
    names: list[str] = []
    monkeypatch.setattr(statements, "run", _told(statements.run, lambda cursor, name: names.append(name)))
    return names


def started() -> list[dict[str, Any]]:
    return list(Execution.objects.order_by("id").values_list("inputs", flat=True))


class TestADelivery:
    @pytest.mark.parametrize("scheme", list(SignatureScheme))
    def test_starts_the_graph_once_it_is_signed(self, scheme):
        sender = make_sender(scheme=scheme)

        answer = sender.send(PAYLOAD)

        (execution,) = Execution.objects.all()
        delivery = Delivery.objects.get()
        assert (answer.status_code, answer.json()) == (
            202,
            {"execution_id": str(execution.pk), "status": "queued", "delivery_id": str(delivery.pk)},
        )
        assert execution.inputs == {"payload": PAYLOAD}
        assert execution.owner_id == sender.webhook.owner_id
        assert (delivery.status, delivery.execution_id) == (DeliveryStatus.ACCEPTED, execution.pk)
        assert (delivery.payload, delivery.size_bytes) == (PAYLOAD, len(json.dumps(PAYLOAD)))

    @pytest.mark.parametrize("event", [path.stem for path in sorted(DATA.glob("*.json"))])
    def test_is_taken_as_github_sends_it(self, event):
        sender = make_sender(make_listener(action=""), scheme="github")
        payload = github_payload(event)

        answer = sender.send((DATA / f"{event}.json").read_bytes(), event=event, delivery_id=str(uuid4()))

        delivery = Delivery.objects.get()
        assert answer.status_code == 202
        assert delivery.event == ".".join([event, *([payload["action"]] if "action" in payload else [])])
        assert delivery.payload == payload
        assert Execution.objects.count() == (0 if event == "ping" else 1)

    def test_is_read_as_a_form_where_github_sends_one(self):
        sender = make_sender(scheme="github")
        body = as_form(github_payload("push"))

        answer = sender.post(body, sender.headers(body), "application/x-www-form-urlencoded")

        assert answer.status_code == 202
        assert started() == [{"payload": github_payload("push")}]

    def test_is_read_as_fields_where_slack_sends_a_command(self):
        sender = make_sender(make_listener("text", command="none"), scheme="slack")
        body = b"token=x&command=%2Fask&text=What+is+it%3F&trigger_id=1.2"

        answer = sender.post(body, sender.headers(body), "application/x-www-form-urlencoded")

        assert answer.status_code == 202
        assert started() == [{"text": "What is it?", "command": "/ask"}]
        assert (Delivery.objects.get().event, Delivery.objects.get().key) == ("/ask", "id:1.2")

    def test_keeps_the_headers_that_say_what_came_and_none_that_prove_it(self):
        sender = make_sender(scheme="github")

        sender.send(
            PAYLOAD, event="push", headers={"Authorization": "Bearer x", "Cookie": "a=b", "X-Github-Token": "t"}
        )

        assert Delivery.objects.get().headers == {
            "content-type": "application/json",
            "x-github-delivery": "one",
            "x-github-event": "push",
        }

    def test_does_not_keep_the_secret_if_somebody_sends_it_along(self):
        sender = make_sender()

        sender.send({"text": f"my secret is {sender.secret}"})

        assert sender.secret not in str(Delivery.objects.values_list("payload", flat=True).get())

    def test_asks_the_database_three_times(self, asked):
        sender = make_sender()

        sender.send(PAYLOAD)

        assert asked == ["find_webhook", "deliver", "start"]


def told(answer: Any) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer but for the name of its request, which is another one each time."""
    return tuple(pair for pair in answer.headers.items() if pair[0] != "X-Request-ID")


class TestWhoIsLetIn:
    """S16: whatever is wrong, the answer is the same."""

    @pytest.fixture
    def sender(self):
        return make_sender()

    def hostile(self, sender: Sender) -> dict[str, tuple[bytes, dict[str, str]]]:
        body = json.dumps(PAYLOAD).encode()
        good = sender.headers(body)["X-Webhook-Signature"]
        other = make_sender().headers(body)["X-Webhook-Signature"]
        return {
            "no signature": (body, {}),
            "empty": (body, {"X-Webhook-Signature": ""}),
            "another algorithm": (body, {"X-Webhook-Signature": good.replace("sha256", "sha1")}),
            "another version": (body, {"X-Webhook-Signature": "v0," + good}),
            "another scheme": (body, {"X-Hub-Signature-256": good}),
            "one byte changed": (body.replace(b"12", b"13"), {"X-Webhook-Signature": good}),
            "written anew": (json.dumps(PAYLOAD, indent=1).encode(), {"X-Webhook-Signature": good}),
            "of another webhook": (body, {"X-Webhook-Signature": other}),
            "two signatures": (body, {"X-Webhook-Signature": f"{good}, {good}"}),
            "not JSON, not signed": (b"{", {"X-Webhook-Signature": good}),
            "nothing at all": (b"", {}),
        }

    def test_refuses_everything_else_alike(self, sender):
        hostile = self.hostile(sender)
        unknown = Client().post(f"/webhooks/{uuid4()}", b"{}", content_type="application/json")

        answers = {name: sender.post(body, headers) for name, (body, headers) in hostile.items()}

        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(hostile, 401)
        assert {answer.content for answer in answers.values()} == {unknown.content}
        assert {told(answer) for answer in answers.values()} == {told(unknown)}
        assert (unknown.status_code, unknown.json()["code"]) == (401, "SIGNATURE_INVALID")
        assert (Delivery.objects.count(), started()) == (0, [])

    def test_does_the_same_work_for_a_webhook_that_is_not_there(self, sender, asked, monkeypatch):
        done: list[str] = []
        for module, name in ((crypto, "decrypt"), (signatures, "verify")):
            monkeypatch.setattr(module, name, _told(getattr(module, name), lambda *_, name=name: done.append(name)))

        sender.post(b"{}", {"X-Webhook-Signature": "0" * 64})
        there, done[:] = list(done), []
        Client().post(f"/webhooks/{uuid4()}", b"{}", content_type="application/json")

        assert done == there == ["decrypt", "verify"]
        assert asked == ["find_webhook"] * 2

    @pytest.mark.parametrize("off_s", [-360, 360])
    def test_refuses_a_time_that_is_six_minutes_off(self, off_s):
        sender = make_sender(scheme="standard-webhooks")

        assert sender.send(PAYLOAD, at=time.time() + off_s).status_code == 401

    def test_takes_the_secret_before_until_the_overlap_is_over(self, sender):
        new = Sender(sender.webhook, own_webhooks.rotate(sender.webhook, overlap=timedelta(hours=1)))

        assert sender.send(PAYLOAD, delivery_id="old").status_code == 202
        assert new.send(PAYLOAD, delivery_id="new").status_code == 202
        Webhook.objects.update(previous_until=now())
        assert sender.send(PAYLOAD, delivery_id="later").status_code == 401

    def test_is_no_page(self, sender):
        assert Client().get(sender.url).status_code == 405
        assert Client().post("/webhooks/1", b"", content_type="text/plain").status_code == 404
        assert Client(enforce_csrf_checks=True).post(sender.url, b"{}", content_type="text/plain").status_code == 401


class TestTheSameAgain:
    """S17: what comes again starts nothing again."""

    @pytest.mark.parametrize("scheme", ["generic", "github", "standard-webhooks"])
    def test_is_answered_with_the_same_execution(self, scheme):
        sender = make_sender(scheme=scheme)
        first = sender.send(PAYLOAD).json()

        again = sender.send(PAYLOAD)

        assert (again.status_code, again.json()) == (200, {**first, "duplicate": True})
        assert len(started()) == 1

    def test_is_known_by_its_event_where_stripe_and_slack_name_that(self):
        for scheme, name in (("stripe", "id"), ("slack", "event_id")):
            sender = make_sender(scheme=scheme)
            first = sender.send({name: "evt_1", "type": "x"})

            again = sender.send({name: "evt_1", "type": "x"}, at=time.time() + 20)

            assert (first.status_code, again.json().get("duplicate")) == (202, True)

    @pytest.mark.parametrize("scheme", ["generic", "github", "standard-webhooks"])
    def test_is_refused_with_another_body(self, scheme):
        sender = make_sender(scheme=scheme)
        sender.send(PAYLOAD)

        other = sender.send({"order": 13})

        assert (other.status_code, other.json()["code"]) == (409, "DELIVERY_ID_TAKEN")
        assert len(started()) == 1

    def test_may_have_another_body_where_stripe_counts_its_tries_in_it(self):
        sender = make_sender(scheme="stripe")
        sender.send({"id": "evt_1", "pending_webhooks": 2})

        assert sender.send({"id": "evt_1", "pending_webhooks": 1}).json()["duplicate"] is True

    def test_is_known_by_what_came_where_nobody_named_it(self):
        sender = make_sender()
        first, again = [sender.send(PAYLOAD, delivery_id="") for _ in range(2)]

        other = sender.send({"order": 13}, delivery_id="")

        assert (first.status_code, again.json().get("duplicate"), other.status_code) == (202, True, 202)

    def test_counts_anew_after_five_minutes_where_nobody_named_it(self):
        sender = make_sender()
        first = sender.send(PAYLOAD, delivery_id="")
        Delivery.objects.update(received_at=now() - timedelta(minutes=5, seconds=1))

        again = [sender.send(PAYLOAD, delivery_id="") for _ in range(2)]

        assert [first.status_code, *(answer.status_code for answer in again)] == [202, 202, 200]
        assert len(started()) == 2

    def test_is_something_else_at_another_webhook(self):
        version = make_listener("payload")
        one, two = make_sender(version), make_sender(version)

        assert [one.send(PAYLOAD).status_code, two.send(PAYLOAD).status_code] == [202, 202]


@pytest.mark.django_db(transaction=True)
class TestFiftyAtOnce:
    @pytest.mark.parametrize("options", [{"delivery_id": "one"}, {"delivery_id": ""}], ids=["named", "not named"])
    def test_start_one_execution(self, options):
        sender = make_sender()
        body = json.dumps(PAYLOAD).encode()
        headers = sender.headers(body, **options)
        ready = threading.Barrier(50)

        def send(_: int) -> Any:
            ready.wait(30)
            try:
                return sender.post(body, headers)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(send, range(50)))

        assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]
        assert len({answer.json()["execution_id"] for answer in answers}) == 1
        assert (len(started()), Delivery.objects.count()) == (1, 1)


class TestWhatIsNotTaken:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b'{"a": NaN}',
            b'{"a": 1e999}',
            b'{"a": 1, "a": 2}',
            b'{"a": "\\u0000"}',
            b'{"a": "\\ud800"}',
            b'{"a": ' + b"9" * 100_000 + b"}",
            b"[" * 10_000 + b"]" * 10_000,
            b"\xff\xfe{\x00}\x00",
            b"\x00",
        ],
        ids=lambda body: repr(body[:20]),
    )
    def test_is_what_can_not_be_stored(self, body):
        sender = make_sender()

        answer = sender.send(body)

        assert (answer.status_code, answer.json()["code"]) == (400, "PAYLOAD_INVALID")
        assert Delivery.objects.count() == 0

    @pytest.mark.parametrize(
        "body", [b"a=%00", b"a=1&a=2", b"payload=%7B", b"&".join(b"k%d=1" % n for n in range(1001)), b"\xff=1"]
    )
    def test_is_a_form_that_can_not_be_stored(self, body):
        sender = make_sender()

        answer = sender.post(body, sender.headers(body), "application/x-www-form-urlencoded")

        assert (answer.status_code, answer.json()["code"]) == (400, "PAYLOAD_INVALID")

    @pytest.mark.parametrize("name", ["\u0000x", "x" * 300, "a\nb"])
    def test_is_an_id_that_can_not_be_stored(self, name):
        sender = make_sender(scheme="stripe")

        assert sender.send({"id": name}).status_code == 400

    def test_is_what_is_too_large(self, settings):
        sender = make_sender()
        settings.AGENTPLATFORM_MAX_WEBHOOK_BYTES = 2000

        answer = sender.send({"a": "x" * 2000})

        assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert sender.send({"a": "x" * 1900}).status_code == 202

    def test_is_ignored_while_the_webhook_is_turned_off(self):
        sender = make_sender(is_enabled=False)

        answer = sender.send(PAYLOAD)

        assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (
            202,
            "ignored",
            "WEBHOOK_DISABLED",
        )
        assert (Delivery.objects.get().payload, started()) == (PAYLOAD, [])

    def test_is_refused_and_tried_again_where_the_graph_needs_more(self):
        sender = make_sender(make_listener("order", "name"))
        refused = sender.send({"order": 1})
        kept = Delivery.objects.get()

        own_webhooks.update(sender.webhook, mapping={"order": "/order", "name": "/order"})
        taken, again = sender.send({"order": 1}), sender.send({"order": 1})

        assert (refused.status_code, refused.json()["code"]) == (422, "EXECUTION_INPUTS_INVALID")
        assert (kept.status, kept.reason, kept.payload) == ("REFUSED", "EXECUTION_INPUTS_INVALID", {"order": 1})
        assert (taken.status_code, again.json()["execution_id"]) == (202, taken.json()["execution_id"])
        assert started() == [{"order": 1, "name": 1}]


class TestAGreeting:
    def test_of_slack_is_answered_where_it_is_signed(self):
        sender = make_sender(scheme="slack")
        greeting = {"type": "url_verification", "challenge": "abc", "token": "x"}

        answer, again = sender.send(greeting), sender.send(greeting)

        assert (answer.status_code, answer.json(), again.json()) == (200, {"challenge": "abc"}, {"challenge": "abc"})
        assert sender.post(json.dumps(greeting).encode(), {}).status_code == 401
        assert started() == []

    def test_of_github_starts_nothing(self):
        sender = make_sender(scheme="github")

        answer = sender.send(github_payload("ping"), event="ping")

        assert (answer.status_code, answer.json()["reason"]) == (202, "GREETING")
        assert started() == []


class TestTheEvents:
    @pytest.mark.parametrize(
        ("events", "taken"),
        [
            ([], True),
            (["issues"], True),
            (["issues.opened"], True),
            (["push", "issues"], True),
            (["issue"], False),
            (["issues.closed"], False),
            (["push"], False),
        ],
    )
    def test_are_selected_by_name_or_kind(self, events, taken):
        sender = make_sender(scheme="github", events=events)

        answer = sender.send(github_payload("issues"), event="issues")

        assert (answer.status_code, answer.json()["status"]) == (202, "queued" if taken else "ignored")
        assert len(started()) == int(taken)
        assert Delivery.objects.get().reason == ("" if taken else "EVENT_NOT_SELECTED")


class TestTheInputs:
    def test_are_made_by_the_mapping(self):
        version = make_listener("title", "who", "event", "first", labels=["none"], branch="main")
        mapping = {
            "title": "/issue/title",
            "who": "/issue/user/login",
            "event": "header:X-GitHub-Event",
            "first": "/issue/labels/0/name",
            "branch": "/no/such/place",
        }
        sender = make_sender(version, "github", mapping=mapping)

        sender.send(github_payload("issues"), event="issues")

        assert started() == [
            {"title": "Spelling error in the README file", "who": "Codertocat", "event": "issues", "first": "bug"}
        ]

    def test_take_what_has_their_names_where_there_is_no_mapping(self):
        sender = make_sender(make_listener("order", payload={}, missing=1))

        sender.send(PAYLOAD)

        assert started() == [{"order": 12, "payload": PAYLOAD}]

    def test_are_all_that_a_payload_can_set(self):
        """S14: neither a node nor the execution itself can be set from outside."""
        sender = make_sender(make_listener("order"))
        hostile = {
            "order": 1,
            "owner": 1,
            "owner_id": 1,
            "status": "SUCCEEDED",
            "inputs": {"x": 1},
            "version_id": "x",
            "id": "y",
        }

        sender.send(hostile)

        (execution,) = Execution.objects.all()
        assert (execution.inputs, execution.owner_id, execution.status) == (
            {"order": 1},
            sender.webhook.owner_id,
            "QUEUED",
        )


class TestWhoWaits:
    """A webhook that names an event gives what comes to those who wait for it, and starts its graph only if nobody does."""

    @pytest.fixture
    def sender(self):
        return make_sender(event_name="paid")

    def waiting(self, sender: Sender, **fields: Any) -> Wait:
        execution = make_execution(status="WAITING", owner_id=sender.webhook.owner_id)
        return make_wait(execution, kind="EVENT", event="paid", **{"data": {"order": 12}, **fields})

    def test_goes_on_with_what_came(self, sender):
        wait = self.waiting(sender)

        answer, again = sender.send(PAYLOAD), sender.send(PAYLOAD)

        wait.refresh_from_db()
        assert (answer.status_code, answer.json()["status"]) == (202, "answered")
        assert (again.status_code, again.json()["status"], again.json()["duplicate"]) == (200, "answered", True)
        assert (wait.status, wait.answer) == ("ANSWERED", PAYLOAD)
        assert (Delivery.objects.get().status, Execution.objects.count()) == ("ANSWERED", 1)
        assert check(only=["I6"]) == []

    def test_for_something_else_is_told_nothing(self, sender):
        wait = self.waiting(sender, data={"order": 13})

        answer = sender.send(PAYLOAD)

        wait.refresh_from_db()
        assert (answer.json()["status"], wait.status) == ("queued", "OPEN")

    def test_for_somebody_else_is_told_nothing(self, sender):
        wait = self.waiting(make_sender())

        sender.send(PAYLOAD)

        wait.refresh_from_db()
        assert wait.status == "OPEN"


class TestAReplay:
    def test_is_an_execution_of_its_own_linked_to_the_delivery(self):
        sender = make_sender()
        sender.send(PAYLOAD)
        first = Delivery.objects.get()

        receipt = deliveries.replay(first)

        again = Delivery.objects.get(pk=receipt.delivery.pk)
        assert (again.replay_of_id, again.status) == (first.pk, DeliveryStatus.ACCEPTED)
        assert again.execution_id not in (None, first.execution_id)
        assert started() == [{"payload": PAYLOAD}] * 2

    def test_starts_what_was_ignored(self):
        sender = make_sender(is_enabled=False)
        sender.send(PAYLOAD)

        deliveries.replay(Delivery.objects.get())

        assert started() == [{"payload": PAYLOAD}]


class TestTheHandler:
    def test_verifies_and_starts(self):
        sender, body = make_sender(), json.dumps(PAYLOAD).encode()
        signature = sender.headers(body)["X-Webhook-Signature"]

        verdicts = [is_signed(sender.webhook.pk, signature, body), is_signed(str(sender.webhook.pk), signature, body)]
        execution = trigger(sender.webhook.pk, json.loads(body))

        assert verdicts == [True, True]
        assert execution.inputs == {"payload": PAYLOAD}

    def test_verifies_what_more_is_signed_by_the_headers(self):
        sender, body = make_sender(scheme="slack"), json.dumps(PAYLOAD).encode()
        headers = sender.headers(body)

        assert is_signed(sender.webhook.pk, headers["X-Slack-Signature"], body, headers=headers)
        assert not is_signed(sender.webhook.pk, headers["X-Slack-Signature"], body)

    def test_takes_no_other_signature(self):
        sender, body = make_sender(), b"{}"

        assert not is_signed(sender.webhook.pk, None, body)
        assert not is_signed(sender.webhook.pk, "0" * 64, body)
        assert not is_signed(uuid4(), sender.headers(body)["X-Webhook-Signature"], body)

    def test_starts_a_delivery_once(self):
        sender = make_sender()

        first, again = [trigger(sender.webhook.pk, PAYLOAD, delivery_id="one") for _ in range(2)]

        assert first.pk == again.pk
        with pytest.raises(DeliveryIdTaken):
            trigger(sender.webhook.pk, {}, delivery_id="one")

    def test_says_what_it_does_not_start(self):
        sender = make_sender(is_enabled=False)

        with pytest.raises(DeliveryIgnored):
            trigger(sender.webhook.pk, PAYLOAD)
        with pytest.raises(Webhook.DoesNotExist):
            trigger(uuid4(), PAYLOAD)
        with pytest.raises(InputsInvalid):
            trigger(make_sender(make_listener("order")).webhook.pk, {})


def is_signed(*args: Any, **options: Any) -> bool:
    return async_to_sync(WebhookHandler().verify_signature)(*args, **options)


def trigger(*args: Any, **options: Any) -> Execution:
    return async_to_sync(WebhookHandler().trigger_graph)(*args, **options)


class TestACircle:
    """S36: what goes out and comes in again counts."""

    def test_ends_after_eight_hops(self):
        sender = make_sender()

        taken = sender.send(PAYLOAD, delivery_id="a", headers={"Agentplatform-Hops": "7"})
        refused = sender.send(PAYLOAD, delivery_id="b", headers={"Agentplatform-Hops": "8"})

        assert (taken.status_code, Delivery.objects.get(status="ACCEPTED").hops) == (202, 7)
        assert (refused.status_code, refused.json()["code"]) == (409, "RECURSION_LIMIT")

    @pytest.mark.parametrize("given", ["", "x", "-1", "٣", "1.5"])
    def test_begins_where_the_header_says_nothing(self, given):
        sender = make_sender()

        assert sender.send(PAYLOAD, headers={"Agentplatform-Hops": given}).status_code == 202
        assert Delivery.objects.get().hops == 0


class TestWhatIsOld:
    def test_is_removed_but_for_what_was_started_once_more(self, settings):
        settings.AGENTPLATFORM_KEEP_DELIVERIES_DAYS = 7
        sender = make_sender()
        for name in ("old", "replayed", "new"):
            sender.send(PAYLOAD, delivery_id=name)
        old, replayed, new = Delivery.objects.order_by("id")
        again = deliveries.replay(replayed).delivery
        born_long_ago(old, replayed)

        removed = pruning.prune_deliveries()

        assert removed == 1
        assert set(Delivery.objects.values_list("pk", flat=True)) == {replayed.pk, new.pk, again.pk}
        assert Execution.objects.count() == 4

    def test_goes_with_its_replays(self, settings):
        settings.AGENTPLATFORM_KEEP_DELIVERIES_DAYS = 7
        make_sender().send(PAYLOAD)
        delivery = Delivery.objects.get()
        again = deliveries.replay(delivery).delivery
        born_long_ago(again, delivery)

        assert pruning.prune_deliveries() == 2


def born_long_ago(*old: Delivery) -> None:
    """Let these be eight days old; whoever refers to them refers to them still."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for delivery in old:
            before, delivery.pk = delivery.pk, first_id_at(now() - timedelta(days=8, seconds=len(old)))
            delivery.pk = UUID(int=delivery.pk.int + before.int % 2**60)
            cursor.execute(
                "UPDATE executions_delivery SET replay_of_id = %s WHERE replay_of_id = %s", [delivery.pk, before]
            )
            cursor.execute("UPDATE executions_delivery SET id = %s WHERE id = %s", [delivery.pk, before])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_secret_is_stored_sealed():
    sender = make_sender()

    stored = Webhook.objects.get()

    assert stored.secret == Sealed(sender.secret)
    assert sender.secret not in repr(stored.__dict__)


def test_an_address_that_is_nearly_one_is_answered_as_all_others_are():
    answer = make_sender().post(b"{}", {}), Client().post(f"/webhooks/{uuid4()}/", b"{}", "application/json")

    assert [(one.status_code, one.json()["code"]) for one in answer] == [(401, "SIGNATURE_INVALID"), (404, "NOT_FOUND")]


def test_a_graph_that_was_put_away_is_not_started_until_it_is_taken_back():
    sender = make_sender()
    graphs = Graph.objects.filter(pk=sender.webhook.graph_id)
    graphs.update(is_archived=True)

    refused = sender.send({"payload": 1})
    kept = Delivery.objects.get()
    with pytest.raises(GraphArchived):
        deliveries.replay(kept)
    graphs.update(is_archived=False)
    again = sender.send({"payload": 1})

    assert (refused.status_code, refused.json()["code"]) == (409, "GRAPH_ARCHIVED")
    assert (kept.status, kept.reason, kept.execution_id) == ("REFUSED", "GRAPH_ARCHIVED", None)
    assert again.status_code == 202
    assert Execution.objects.get().graph_id == sender.webhook.graph_id
