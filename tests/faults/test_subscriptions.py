"""F21, what goes out: receivers that hang or refuse, senders that die before they write that down. All is told, under one id."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from agentplatform.local.ports import LOOPBACK
from executions import invariants, own_subscriptions, own_webhooks, services
from executions.models import Delivery, Execution, OutgoingDelivery, Subscription
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_published
from tests.faults.load import Load
from tests.faults.sound import GRACE_S
from tests.faults.stack import Stack
from tests.receiver import Receiver, make_due, receiving
from tests.scale import many
from tests.servers import wait_until
from tests.webhooks import make_listener

pytestmark = pytest.mark.slow

TOLD_IN_S = 90.0
ENDS = many(30)


@pytest.fixture(autouse=True)
def nobody_is_subscribed_later(stack: Stack) -> Iterator[None]:
    """Later tests of this stack tell nobody."""
    yield
    for subscription in Subscription.objects.all():
        own_subscriptions.delete(subscription)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def subscribed(version: GraphVersion, url: str) -> Subscription:
    return own_subscriptions.create(
        owner_id=version.graph.owner_id, name="out", url=url, events=["execution.succeeded"]
    )[0]


def start(version: GraphVersion, count: int) -> list[Any]:
    return [services.start(version_id=version.pk, owner_id=version.graph.owner_id, inputs={}).pk for _ in range(count)]


def all_heard(*subscriptions: Subscription) -> bool:
    return not OutgoingDelivery.objects.filter(subscription__in=subscriptions).exclude(status="DELIVERED").exists()


def assert_told(receiver: Receiver, ids: list[Any]) -> None:
    """Find that each execution was told, each under one id only, and that all of that is so."""
    told = {(came.id, came.payload["data"]["execution"]) for came in receiver.came}
    assert Counter(execution for _, execution in told) == {str(id_): 1 for id_ in ids}
    assert Execution.objects.filter(pk__in=ids, status="SUCCEEDED").count() == len(ids)
    assert list(invariants.check(grace_s=GRACE_S)) == []


def test_a_sender_that_dies_after_it_has_sent_sends_it_again_under_the_same_id(
    stack: Stack, load: Load, receiver: Receiver
):
    stack.worker("one")
    stack.members["beat"].kill9()
    version = make_published([node("only", "test.source")])
    subscription = subscribed(version, receiver.url)
    doomed = stack.beat("doomed", is_kept=False, AGENTPLATFORM_FAILPOINT="after_outgoing_send:kill9:at=1")
    ids = start(version, 5)

    wait_until(lambda: not doomed.is_up, what="The death of the sender", within_s=TOLD_IN_S)
    lost = {came.id for came in receiver.came}
    assert lost
    stack.resume("beat")
    load.wait(ids=ids)
    make_due(subscription)  # so that the test need not wait for the leases to run out
    wait_until(lambda: all_heard(subscription), what="What was to be told", within_s=TOLD_IN_S)

    counts = Counter(came.id for came in receiver.came)
    assert all(counts[id_] == 2 for id_ in lost)
    assert len({came.body for came in receiver.came}) == len(ids)
    assert_told(receiver, ids)


def test_two_senders_tell_all_that_happens_once_while_others_hang(stack: Stack, load: Load, receiver: Receiver):
    stack.worker("one")
    stack.beat("other", is_kept=False)
    version = make_published([node("only", "test.source")])
    other = make_published([node("only", "test.source")])
    quick = subscribed(version, receiver.url)
    with receiving(before=lambda: time.sleep(60)) as hanging, receiving(status=500) as broken:
        bad = [subscribed(other, hanging.url), subscribed(other, broken.url)]
        ids, theirs = start(version, ENDS), start(other, ENDS)
        load.wait(ids=[*ids, *theirs])
        wait_until(lambda: all_heard(quick), what="What the quick one is told", within_s=TOLD_IN_S)
        wait_until(lambda: Subscription.objects.get(pk=bad[1].pk).failures, what="A failure", within_s=TOLD_IN_S)

        assert len(receiver.came) == len(ids)  # each attempt was made by one sender only
        assert len(hanging.came) <= 25
        assert OutgoingDelivery.objects.filter(subscription__in=bad, status="PENDING").count() == 2 * ENDS
        own_subscriptions.delete(bad[0])
        broken.status = 204
        make_due(bad[1])
        wait_until(
            lambda: OutgoingDelivery.objects.filter(subscription=bad[1], status="DELIVERED").count() > 0,
            what="That it is heard again",
            within_s=TOLD_IN_S,
        )
    assert_told(receiver, ids)


def test_what_happens_while_the_database_dies_is_told(stack: Stack, load: Load, receiver: Receiver):
    stack.worker("one")
    version = make_published([node("only", "test.source")])
    subscription = subscribed(version, receiver.url)
    ids = start(version, ENDS)

    stack.crash_postgres()
    connection.close()
    load.wait(ids=ids)
    make_due(subscription)
    wait_until(lambda: all_heard(subscription), what="What was to be told", within_s=TOLD_IN_S)

    assert_told(receiver, ids)


def test_a_circle_of_webhooks_comes_to_an_end(stack: Stack, load: Load):
    """S36: a graph whose end is told to the webhook that starts it."""
    stack.worker("one")
    version = make_listener(payload={})
    subscription, secret = own_subscriptions.create(
        owner_id=version.graph.owner_id, name="out", url="https://example.com/", events=["execution.succeeded"]
    )
    webhook, _ = own_webhooks.create(
        graph=version.graph, name="in", scheme="standard-webhooks", secret=secret.removeprefix("whsec_")
    )
    # The address is of this machine, which only the stack's own processes may ask.
    Subscription.objects.update(url=f"http://{LOOPBACK}:{stack.web_port}/webhooks/{webhook.pk}")

    start(version, 1)
    refused = Delivery.objects.filter(webhook=webhook, status="REFUSED", reason="RECURSION_LIMIT")
    wait_until(refused.exists, what="The end of the circle", within_s=TOLD_IN_S)

    assert Execution.objects.count() == 8
    assert [one.hops for one in Delivery.objects.order_by("id")] == list(range(1, 9))
    told = OutgoingDelivery.objects.filter(subscription=subscription).order_by("-id")
    wait_until(lambda: told.first().attempts, what="What the last one was answered", within_s=TOLD_IN_S)
