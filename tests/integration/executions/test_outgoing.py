"""What was written down for a subscription is sent to it: signed, until it is heard, by one sender at a time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from standardwebhooks import Webhook as Verifier

from agentplatform.lib.clock import now
from executions import outgoing, own_subscriptions, pruning
from executions.errors import SubscriptionDisabled
from executions.models import OutgoingDelivery, Subscription
from integrations import services as credentials
from tests.outside import allow_only, raw_server
from tests.receiver import Receiver, make_due, receiving, sending, subscribe

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver() -> Any:
    with receiving() as running:
        yield running


@pytest.fixture
def send_all() -> Any:
    with sending() as send:
        yield send


def pinged(url: str, **fields: Any) -> tuple[OutgoingDelivery, str]:
    subscription, secret = subscribe(url, **fields)
    return own_subscriptions.ping(subscription), secret


def standing(delivery: OutgoingDelivery) -> tuple[str, int, int | None, str]:
    delivery.refresh_from_db()
    return delivery.status, delivery.attempts, delivery.status_code, delivery.error_code


class TestASentOne:
    def test_is_signed_as_the_standard_says(self, receiver: Receiver, send_all):
        delivery, secret = pinged(receiver.url)

        send_all()

        (came,) = receiver.came
        assert Verifier(secret).verify(came.body, dict(came.headers)) == came.payload
        assert came.payload["type"] == "ping"
        assert (came.id, came.headers["agentplatform-hops"]) == (str(delivery.pk), "1")
        assert came.headers["content-type"] == "application/json"
        assert standing(delivery) == ("DELIVERED", 1, 200, "")
        assert delivery.answer == "thanks"
        assert [entry["status_code"] for entry in delivery.log] == [200]

    def test_is_signed_with_both_secrets_while_they_change(self, receiver: Receiver, send_all):
        subscription, before = subscribe(receiver.url)
        after = own_subscriptions.rotate(subscription)
        own_subscriptions.ping(subscription)

        send_all()

        (came,) = receiver.came
        for secret in (before, after):
            assert Verifier(secret).verify(came.body, dict(came.headers)) == came.payload
        own_subscriptions.rotate(Subscription.objects.get(), overlap=timedelta(0))
        own_subscriptions.ping(Subscription.objects.get())
        send_all()
        assert len(receiver.came[1].headers["webhook-signature"].split()) == 1

    def test_keeps_no_secret_that_comes_back(self, receiver: Receiver, send_all):
        subscription, secret = subscribe(receiver.url)
        credentials.add(
            owner_id=subscription.owner_id,
            provider="openai",
            kind="api_key",
            secret={"api_key": "sk-CANARY-0123456789abcdef"},
            name="mine",
        )
        receiver.body = f"{'x' * 990}{secret} sk-CANARY-0123456789abcdef \0".encode()
        receiver.status = 500
        delivery = own_subscriptions.ping(subscription)

        send_all()

        delivery.refresh_from_db()
        shown = f"{delivery.answer} {delivery.error_message} {delivery.log}"
        assert not any(part in shown for part in (secret[:16], "sk-CANARY", "\0"))
        assert "***" in delivery.answer
        assert len(delivery.answer) <= outgoing.LONGEST_ANSWER


class TestOneThatIsNotHeard:
    @pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
    def test_is_tried_again_later_under_the_same_id(self, receiver: Receiver, send_all, status):
        delivery, _ = pinged(receiver.url)
        receiver.status = status
        send_all()
        send_all()
        assert standing(delivery) == ("PENDING", 1, status, "RECEIVER_REFUSED")
        assert 3 < (delivery.next_at - now()).total_seconds() + 1 < 8
        assert Subscription.objects.get().failures == 1

        receiver.status = 204
        make_due(delivery.subscription)
        send_all()

        assert standing(delivery) == ("DELIVERED", 2, 204, "")
        assert len({came.id for came in receiver.came}) == 1
        assert len({came.body for came in receiver.came}) == 1
        subscription = Subscription.objects.get()
        assert (subscription.failures, subscription.heard_at is None) == (0, False)

    def test_is_left_alone_for_as_long_as_is_asked(self, receiver: Receiver, send_all):
        delivery, _ = pinged(receiver.url)
        receiver.status, receiver.headers = 429, {"Retry-After": "3600"}

        send_all()

        delivery.refresh_from_db()
        assert 3590 < (delivery.next_at - now()).total_seconds() < 4400

    def test_is_given_up_after_three_days_and_the_subscription_turned_off(self, receiver: Receiver, send_all):
        delivery, _ = pinged(receiver.url)
        waiting = own_subscriptions.ping(delivery.subscription)
        receiver.status = 500
        OutgoingDelivery.objects.filter(pk=delivery.pk).update(begun_at=now() - timedelta(days=3))
        OutgoingDelivery.objects.filter(pk=waiting.pk).update(next_at=now() + timedelta(hours=1))

        send_all()

        subscription = Subscription.objects.get()
        assert standing(delivery)[0] == "FAILED"
        assert (subscription.is_enabled, subscription.disabled_reason) == (False, "NOT_HEARD")
        assert standing(waiting) == ("FAILED", 0, None, "SUBSCRIPTION_DISABLED")

    def test_is_given_up_alone_where_others_were_heard(self, receiver: Receiver, send_all):
        delivery, _ = pinged(receiver.url)
        receiver.status = 500
        OutgoingDelivery.objects.update(begun_at=now() - timedelta(days=3))
        Subscription.objects.update(heard_at=now() - timedelta(days=1))

        send_all()

        assert standing(delivery)[0] == "FAILED"
        assert Subscription.objects.get().is_enabled

    def test_has_its_last_try_at_the_end_of_the_three_days(self, receiver: Receiver, send_all):
        delivery, _ = pinged(receiver.url)
        receiver.status, receiver.headers = 503, {"Retry-After": "864000"}

        send_all()

        delivery.refresh_from_db()
        assert delivery.next_at == delivery.begun_at + timedelta(days=3)

    def test_is_never_sent_again_where_nothing_more_is_wanted(self, receiver: Receiver, send_all):
        delivery, _ = pinged(receiver.url)
        receiver.status = 410

        send_all()

        subscription = Subscription.objects.get()
        assert standing(delivery) == ("FAILED", 1, 410, "RECEIVER_REFUSED")
        assert (subscription.is_enabled, subscription.disabled_reason) == (False, "RECEIVER_GONE")
        with pytest.raises(SubscriptionDisabled):
            own_subscriptions.resend(delivery)

    def test_says_so_where_nobody_answers(self, send_all):
        with receiving() as gone:
            pass
        delivery, _ = pinged(gone.url)

        send_all()

        assert standing(delivery) == ("PENDING", 1, None, "HTTP_UNREACHABLE")


class TestAHostileReceiver:
    def test_that_hangs_is_left_after_its_time_and_keeps_nobody_waiting(self, receiver: Receiver, send_all, settings):
        settings.AGENTPLATFORM_OUTGOING_TIMEOUT_S = 1.0
        with receiving(before=lambda: time.sleep(3)) as hanging:
            slow, _ = pinged(hanging.url)
            quick, _ = pinged(receiver.url)

            send_all()

        assert standing(slow) == ("PENDING", 1, None, "HTTP_TIMEOUT")
        assert standing(quick)[0] == "DELIVERED"
        slow_took, quick_took = slow.log[0]["seconds"], quick.log[0]["seconds"]
        assert quick_took < slow_took

    async def test_that_drips_is_left_after_its_time(self, monkeypatch):
        import asyncio

        async def drip(reader: Any, writer: Any) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)

        monkeypatch.setattr("django.conf.settings.AGENTPLATFORM_OUTGOING_TIMEOUT_S", 0.5)
        async with raw_server(drip) as port:
            outcome = await outgoing.send(attempt_at(f"http://127.0.0.1:{port}/"))

        assert outcome.error is not None
        assert outcome.error.code == "HTTP_TIMEOUT"

    async def test_that_answers_too_much_is_not_read_to_the_end(self):
        async def pour(reader: Any, writer: Any) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()

        async with raw_server(pour) as port:
            outcome = await outgoing.send(attempt_at(f"http://127.0.0.1:{port}/"))

        assert outcome.error is not None
        assert outcome.error.code == "HTTP_TOO_LARGE"

    def test_that_leads_elsewhere_is_not_followed(self, receiver: Receiver, send_all):
        with receiving(status=307, headers={"Location": receiver.url}) as leading:
            delivery, _ = pinged(leading.url)
            send_all()

        assert receiver.came == []
        assert standing(delivery)[0] == "PENDING"

    def test_that_has_come_to_be_inside_is_not_asked(self, receiver: Receiver, send_all, monkeypatch):
        delivery, _ = pinged(receiver.url)
        allow_only(monkeypatch)

        send_all()

        assert receiver.came == []
        assert standing(delivery) == ("PENDING", 1, None, "URL_FORBIDDEN")


def attempt_at(url: str) -> outgoing.Attempt:
    from agentplatform.lib.crypto import Sealed

    secret = Sealed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    return outgoing.Attempt(UUID(int=1), UUID(int=2), 1, 1, 1, url, (secret,), b"{}", 1)


class TestTwoSenders:
    def test_never_send_the_same_attempt(self, receiver: Receiver):
        made = [pinged(receiver.url)[0] for _ in range(6)]
        for delivery in list(made):
            made += [own_subscriptions.ping(delivery.subscription) for _ in range(2)]

        def claim(_: int) -> list[tuple[UUID, int]]:
            try:
                return [(one.id, one.number) for one in outgoing.claim(5)]
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            taken = [one for found in threads.map(claim, range(12)) for one in found]

        assert len(taken) == len(set(taken)) == len(made)
        assert outgoing.claim(5) == []

    def test_one_that_comes_late_writes_nothing(self, receiver: Receiver):
        delivery, _ = pinged(receiver.url)
        (late,) = outgoing.claim(5)
        OutgoingDelivery.objects.update(leased_until=now() - timedelta(minutes=1))
        (other,) = outgoing.claim(5)

        outgoing.note([outgoing.Outcome(late, 0.1)])
        assert standing(delivery)[:2] == ("PENDING", 2)
        assert delivery.log == []
        assert (late.id, late.body) == (other.id, other.body)

    def test_leave_room_for_others(self, receiver: Receiver):
        subscription, _ = subscribe(receiver.url)
        for _ in range(20):
            own_subscriptions.ping(subscription)
        other, _ = pinged(receiver.url)

        taken = outgoing.claim(100)

        assert other.pk in {one.id for one in taken}
        assert len(taken) == outgoing.PER_SUBSCRIPTION + 1

    def test_try_who_does_not_listen_one_by_one(self, receiver: Receiver):
        subscription, _ = subscribe(receiver.url)
        for _ in range(5):
            own_subscriptions.ping(subscription)
        Subscription.objects.update(failures=3)

        assert len(outgoing.claim(100)) == 1
        assert outgoing.claim(100) == []


class TestResending:
    def test_sends_one_once_more_under_its_id(self, receiver: Receiver, send_all):
        delivery, _ = pinged(receiver.url)
        send_all()

        again = own_subscriptions.resend(delivery)
        assert (again.status, again.tries) == ("PENDING", 0)
        send_all()

        assert standing(delivery) == ("DELIVERED", 2, 200, "")
        assert [came.id for came in receiver.came] == [str(delivery.pk)] * 2

    def test_sends_all_that_failed_since_a_moment(self, receiver: Receiver, send_all):
        subscription, _ = subscribe(receiver.url)
        old, new, heard = (own_subscriptions.ping(subscription) for _ in range(3))
        moment = now() - timedelta(hours=1)
        OutgoingDelivery.objects.filter(pk=old.pk).update(
            status="FAILED", next_at=None, ended_at=moment - timedelta(hours=1)
        )
        OutgoingDelivery.objects.filter(pk=new.pk).update(status="FAILED", next_at=None, ended_at=now())
        OutgoingDelivery.objects.filter(pk=heard.pk).update(status="DELIVERED", next_at=None, ended_at=now())

        assert own_subscriptions.resend_failed(subscription, since=moment) == 1
        send_all()

        assert [came.id for came in receiver.came] == [str(new.pk)]


def test_what_is_older_than_it_is_kept_is_removed(receiver: Receiver, settings):
    subscription, _ = subscribe(receiver.url)
    kept = own_subscriptions.ping(subscription)
    for number, status in enumerate(("PENDING", "DELIVERED", "PENDING"), start=1):
        OutgoingDelivery.objects.create(
            id=UUID(int=number),
            subscription=subscription,
            event="ping",
            subject_id=UUID(int=number),
            status=status,
            next_at=now() if status == "PENDING" else None,
            ended_at=None if status == "PENDING" else now(),
        )

    OutgoingDelivery.objects.filter(pk=UUID(int=3)).update(begun_at=now() - timedelta(days=31))

    assert pruning.prune_outgoing() == 2

    assert set(OutgoingDelivery.objects.values_list("pk", flat=True)) == {UUID(int=1), kept.pk}


def test_one_that_is_removed_takes_what_it_was_told_along(receiver: Receiver, send_all):
    delivery, _ = pinged(receiver.url)

    own_subscriptions.delete(delivery.subscription)
    send_all()

    assert receiver.came == []
    assert OutgoingDelivery.objects.count() == Subscription.objects.count() == 0
