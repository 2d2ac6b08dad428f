"""A published version is planned by what its blocks declared then, and tried as its nodes or blocks say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from blocks.sdk import Block, Effects, Placement, Retry
from executions.plans import plan_of
from graphs.models import Node
from tests.blocks import Echo, node
from tests.factories import make_published

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget_plans():
    """Plan every version anew."""
    plan_of.cache_clear()
    yield
    plan_of.cache_clear()


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let `test.echo` declare something else, as a later release may."""

    def change(block: type[Block] = Echo, **attributes: Any) -> None:
        for name, value in attributes.items():
            monkeypatch.setattr(block, name, value)
        plan_of.cache_clear()

    return change


def without_facts(version_id: UUID) -> None:
    """Make a published version one of a time when facts were not kept."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Node.objects.filter(version_id=version_id).update(facts=None)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    plan_of.cache_clear()


class TestFacts:
    def test_are_those_of_the_day_it_was_published(self, declare):
        version = make_published([node("a", "test.echo", input=1)])
        before = plan_of(version.pk)

        declare(placement=Placement.CPU, effects=Effects.AT_MOST_ONCE, streams=frozenset({"output"}), gathers="input")

        assert plan_of(version.pk) == before
        assert plan_of(version.pk).mark == before.mark

    def test_are_those_of_today_where_none_were_kept(self, declare):
        version = make_published([node("a", "test.echo", input=1)])
        before = plan_of(version.pk)
        without_facts(version.pk)

        assert plan_of(version.pk) == before
        declare(placement=Placement.CPU)

        assert plan_of(version.pk).nodes[0].block.placement is Placement.CPU
        assert plan_of(version.pk).mark != before.mark

    def test_are_kept_of_every_published_version(self):
        nodes = [node("a", "test.stream", input=1), node("b", "test.collect", item=1)]

        planned = plan_of(make_published(nodes).pk)

        assert {one.key: one.block for one in planned.nodes} == {one.key: one.block for one in nodes}


class TestHowOftenAndHowLong:
    def test_is_what_the_node_says(self, declare):
        declare(retry=Retry(attempts=7), timeout_s=70.0)
        own = replace(node("a", "test.echo", input=1), retry=Retry(attempts=2, on=("TIMEOUT",)), timeout_s=2.5)

        (planned,) = plan_of(make_published([own]).pk).nodes

        assert (planned.retry, planned.timeout_s) == (Retry(attempts=2, on=("TIMEOUT",)), 2.5)

    def test_is_what_the_block_says_where_the_node_says_nothing(self, declare):
        version = make_published([node("a", "test.echo", input=1)])
        assert (plan_of(version.pk).nodes[0].retry, plan_of(version.pk).nodes[0].timeout_s) == (None, None)

        declare(retry=Retry(attempts=7), timeout_s=70.0)

        (planned,) = plan_of(version.pk).nodes
        assert (planned.retry, planned.timeout_s) == (Retry(attempts=7), 70.0)
