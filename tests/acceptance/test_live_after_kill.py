"""Who follows an execution sees that its worker has died and that another has taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks import registry
from executions import services
from tests.acceptance.crew import BLOCKS, SHORT_LEASES, one_way, wait_for_end
from tests.acceptance.probes import EFFECTS_FILE, PROBES, Act
from tests.live import path_of, stream, token_of
from tests.servers import running_web, running_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_each_attempt_is_told_once(tmp_path: Path) -> None:
    registry.register(*PROBES)
    short = {name: str(value) for name, value in SHORT_LEASES.items()}
    environment = BLOCKS | short | {EFFECTS_FILE: str(tmp_path / "effects.jsonl")}
    version = one_way(Act, seconds=3.0)

    with running_web(extra_env=environment) as web, running_worker(extra_env=environment) as first:
        execution = services.start(version_id=version.pk, owner_id=version.graph.owner_id, inputs={"number": 7})
        with stream(web, path_of(execution.pk), token_of(execution.owner)) as opened:
            events = opened.events()
            seen = [next(event for event in events if event.get("node") == "act")]
            first.kill9()
            with running_worker(extra_env=environment):
                wait_for_end([execution.pk])
                seen += events

    acted = [(event["type"], event.get("attempt")) for event in seen if event.get("node") == "act"]
    assert acted == [("node.started", 1), ("node.started", 2), ("node.succeeded", 2)]
    assert [event["number"] for event in seen] == list(range(5, 5 + len(seen)))
