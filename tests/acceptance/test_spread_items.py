"""Items that are spread over tasks come together again, whatever else the first task goes on with."""

from __future__ import annotations

import pytest

from blocks import registry
from executions import services
from executions.engine.spec import LinkSpec
from executions.engine.status import Status
from tests.acceptance.crew import probe, working
from tests.acceptance.probes import PROBES, Act
from tests.blocks import node
from tests.factories import make_published

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_outputs_of_spread_items_are_kept_if_other_work_of_that_task_ends_last(tmp_path, settings):
    registry.register(*PROBES)
    settings.AGENTPLATFORM_CHUNK_ITEMS = 2
    nodes = [
        node("source", "test.source", value="x"),
        node("items", "test.stream", count=4),
        probe("each", Act, seconds=0.05),
        node("all", "test.collect"),
        node("spread", "test.output", name="spread"),
        probe("slow", Act, input="y", seconds=1.5),
        node("plain", "test.output", name="plain"),
    ]
    links = [
        LinkSpec("source", "output", "items", "input"),
        LinkSpec("items", "item", "each", "input"),
        LinkSpec("each", "output", "all", "item"),
        LinkSpec("all", "items", "spread", "input"),
        LinkSpec("slow", "output", "plain", "input"),
    ]
    version = make_published(nodes, links)

    with working(tmp_path, {"AGENTPLATFORM_CHUNK_ITEMS": "2"}):
        execution = services.start(version_id=version.pk, owner_id=version.graph.owner_id)
        ended = services.wait(execution.pk, timeout_s=30)

    assert (ended.status, ended.outputs) == (
        Status.SUCCEEDED,
        {"spread": ["x.0", "x.1", "x.2", "x.3"], "plain": "y"},
    )
