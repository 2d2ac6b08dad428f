"""Where lanes ask the database and the broker, they are answered by the history they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from executions import admission, lane_run, leases
from executions.limits import FiringCount
from tests.durable.probes import CURRENT
from tests.durable.world import World


@contextmanager
def in_memory() -> Iterator[None]:
    """Connect what the code of lanes calls by itself with the current history."""

    def here() -> World:
        assert isinstance(CURRENT.host, World)
        return CURRENT.host

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "held", lambda *given: here().database.held(*given))
        patch.setattr(
            leases, "hand_back", lambda claims, *, pause_s: here().database.hand_back(claims, pause_s=pause_s)
        )
        patch.setattr(leases, "blame", lambda claims: here().database.blame(claims))
        patch.setattr(leases, "give_up", lambda claims: here().give_up(claims))
        patch.setattr(FiringCount, "_rows", lambda count, limit: len(here().database.kept[count.execution_id].rows))
        patch.setattr(lane_run, "stop_if_idle", lambda batch: here().database.stop_if_idle(batch))
        patch.setattr(lane_run, "rest_if_idle", lambda execution_id: here().rest_if_idle(execution_id))
        patch.setattr(lane_run, "answers_of", lambda *given: here().database.answers_of(*given))
        patch.setattr(lane_run, "follow_up", lambda settled: None)
        patch.setattr(admission, "admit_soon", lambda: None)
        yield
