"""What surrounds the work of a long run: schedules and webhooks that start it, people who answer, and those who are told how it ended."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db import InterfaceError, OperationalError, connection
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from agentplatform.local.ports import LOOPBACK
from executions import own_schedules, own_subscriptions, own_webhooks
from executions.engine.status import FINAL
from executions.models import Execution, Fire, OutgoingDelivery, Schedule, Subscription, Wait
from graphs.models import GraphVersion
from integrations import signatures
from tests.faults.load import Accepted, Load
from tests.faults.shapes import Shape
from tests.receiver import Came, Receiver

#: How often people look at what they are asked, and somebody sends to the webhook.
LOOK_S = 1.0
#: One of so many requests to who is told is answered 500.
REFUSES_ONE_OF = 8
#: Between two times of a schedule.
EVERY_S = 3
NO_ANSWER = (OSError, http.client.HTTPException)
NO_DATABASE = (OperationalError, InterfaceError)


@dataclass
class Sent:
    """What was delivered to the webhook under one id, and what its sender was told."""

    number: int
    execution_id: UUID | None = None


@dataclass
class Around:
    """All that goes on beside the work of one owner of shapes."""

    load: Load
    receiver: Receiver
    owner: AbstractUser
    scheduled: list[Shape]
    hooked: Shape
    seed: int = 0
    wrong: list[str] = field(default_factory=list)
    #: By its id: each wait whose answer was taken.
    answered: set[UUID] = field(default_factory=set)
    sent: dict[str, Sent] = field(default_factory=dict)
    schedules: dict[UUID, Shape] = field(default_factory=dict)
    _next_look: float = 0.0
    _heard: int = 0

    def begin(self) -> None:
        """Make the schedules, the webhook and the subscription."""
        chance = Random(self.seed)
        self.receiver.before = lambda: setattr(
            self.receiver, "status", 500 if chance.randrange(REFUSES_ONE_OF) == 0 else 204
        )
        self.subscription, self.secret = own_subscriptions.create(
            owner_id=self.owner.pk, name="told", url=self.receiver.url
        )
        for number, shape in enumerate(self.scheduled):
            schedule = own_schedules.create(
                graph=version_of(shape).graph,
                name=f"schedule {number}",
                kind="interval",
                every_s=EVERY_S + number,
                inputs={"number": number},
                catch_up="all",
                max_catch_up=100,
            )
            self.schedules[schedule.pk] = shape
        self.webhook, self.webhook_secret = own_webhooks.create(
            graph=version_of(self.hooked).graph, name="in", mapping={"number": "/number"}
        )

    def look(self) -> None:
        """Answer what is asked, send to the webhook, and verify what was told; once in a while, however often it is called."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_S
        self.sent[f"delivery-{len(self.sent)}"] = Sent(len(self.sent))
        self._see_to_it()

    def rest(self, *, within_s: float) -> None:
        """Start nothing more; go on until all that was sent is taken, all that is asked is answered, and all that is told is heard."""
        for schedule in Schedule.objects.filter(pk__in=self.schedules):
            own_schedules.pause(schedule)
        self.receiver.before = lambda: setattr(self.receiver, "status", 204)
        deadline = time.monotonic() + within_s
        while left := self._left():
            if time.monotonic() > deadline:
                self.wrong.append(f"after {within_s:g} s there still {left}")
                break
            self.load.stack.look()
            # What was refused need not wait for its next turn; what a dead sender has taken is left to its lease.
            OutgoingDelivery.objects.filter(status="PENDING", leased_until=None).update(next_at="2020-01-01T00:00:00Z")
            self._see_to_it()
            time.sleep(0.2)
        self._verify()
        self._take_what_was_fired()

    def problems(self) -> Iterator[str]:
        """Yield whatever was promised and is not so."""
        yield from self.wrong
        waits = Wait.objects.in_bulk(self.answered)
        for id_ in self.answered:
            if id_ not in waits or (waits[id_].status, waits[id_].comment) != ("ANSWERED", _comment(id_)):
                yield f"the answer to {id_} was taken and is not there"
        for schedule_id in self.schedules:
            times = sorted(Fire.objects.filter(schedule_id=schedule_id).values_list("fire_at", flat=True))
            every = timedelta(seconds=Schedule.objects.get(pk=schedule_id).every_s or 0)
            if times != [times[0] + number * every for number in range(len(times))] if times else True:
                yield f"of schedule {schedule_id} times are left out, or there are none: {len(times)}"
        yield from not_told(self.receiver.came, self.subscription)

    def counts(self) -> str:
        """Return what there was, in words."""
        ids = Counter(came.id for came in self.receiver.came)
        fires = Fire.objects.filter(schedule_id__in=self.schedules).count()
        return (
            f"answers: {len(self.answered)}; times of schedules: {fires}; deliveries to a webhook: {len(self.sent)};"
            f" told: {len(ids)}, of which {sum(times > 1 for times in ids.values())} more than once"
        )

    def _see_to_it(self) -> None:
        for what in (self._verify, self._answer, self._send):
            try:
                what()
            except NO_ANSWER:
                pass  # as for any customer: the next look asks again
            except NO_DATABASE:
                connection.close()

    def _answer(self) -> None:
        asked = self.load.call("GET", "/api/v1/approvals/?kind=APPROVAL", owner_id=self.owner.pk, timeout_s=5.0)
        for one in asked.body["results"] if asked.status == 200 else ():
            body = {"approved": True, "comment": _comment(one["id"])}
            path = f"/api/v1/approvals/{one['id']}/answer/"
            if self.load.call("POST", path, body, owner_id=self.owner.pk, timeout_s=5.0).status == 200:
                self.answered.add(UUID(one["id"]))

    def _send(self) -> None:
        for name, sent in self.sent.items():
            if sent.execution_id is None:
                sent.execution_id = self._deliver(name, sent.number)
                if sent.execution_id is not None:
                    self.load.accepted.append(Accepted(sent.execution_id, self.hooked, sent.number))

    def _deliver(self, name: str, number: int) -> UUID | None:
        body = json.dumps({"number": number}).encode()
        headers = signatures.sign(body, self.webhook_secret, self.webhook.scheme, at=time.time(), delivery_id=name)
        asked = http.client.HTTPConnection(LOOPBACK, self.load.stack.web_port, timeout=5)
        try:
            asked.request("POST", f"/webhooks/{self.webhook.pk}", body, headers | {"Content-Type": "application/json"})
            answer = asked.getresponse()
            told = json.loads(answer.read())
        finally:
            asked.close()
        if answer.status in (200, 202):
            return UUID(told["execution_id"])
        if answer.status not in (429, 503):
            self.wrong.append(f"the webhook answered {answer.status} to {name}: {told}")
        return None

    def _verify(self) -> None:
        """Verify what came since it was last looked, before its time is too long ago."""
        fresh = self.receiver.came[self._heard :]
        self._heard += len(fresh)
        for came in fresh:
            try:
                Verifier(self.secret).verify(came.body, dict(came.headers))
            except WebhookVerificationError as error:
                self.wrong.append(f"{came.id} was told with a signature that is not good: {error}")

    def _take_what_was_fired(self) -> None:
        fires = Fire.objects.filter(schedule_id__in=self.schedules)
        for fire in fires:
            if fire.execution_id is None:
                self.wrong.append(f"the time {fire.fire_at} of {fire.schedule_id} is {fire.status} {fire.reason}")
                continue
            shape = self.schedules[fire.schedule_id]
            self.load.accepted.append(Accepted(fire.execution_id, shape, self.scheduled.index(shape)))

    def _left(self) -> str:
        """Return what is still to be done; nothing if it is over, or while the database does not answer."""
        mine = Execution.objects.filter(owner=self.owner)
        left = {
            "are deliveries to be taken": sum(one.execution_id is None for one in self.sent.values()),
            "are questions": Wait.objects.filter(owner=self.owner, kind="APPROVAL", status="OPEN").count(),
            "run executions": mine.exclude(status__in=[*FINAL, "WAITING"]).count(),
            "are events to be told": OutgoingDelivery.objects.filter(status="PENDING").count(),
        }
        return ", ".join(f"{what} ({count})" for what, count in left.items() if count)


def not_told(came: list[Came], subscription: Subscription) -> Iterator[str]:
    """Yield each end of an execution that was not told, or under two ids, and each id under which two things were told."""
    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    ids: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in came:
        bodies[one.id].add(one.body)
        ids[one.payload["type"], str(one.payload["data"].get("execution"))].add(one.id)
    yield from (f"{len(told)} things were told under {id_}" for id_, told in bodies.items() if len(told) > 1)
    ended = Execution.objects.filter(owner=subscription.owner_id, parent_id=None, status__in=FINAL)
    for execution_id, status in ended.filter(created_at__gte=subscription.created_at).values_list("id", "status"):
        under = ids[f"execution.{status.lower()}", str(execution_id)]
        if len(under) != 1:
            yield f"the end of {execution_id}, {status}, was told under {len(under)} ids"


def version_of(shape: Shape) -> GraphVersion:
    """Return the version that a shape runs."""
    return GraphVersion.objects.select_related("graph").get(pk=shape.version_id)


def _comment(wait_id: Any) -> str:
    return f"yes to {wait_id}"
