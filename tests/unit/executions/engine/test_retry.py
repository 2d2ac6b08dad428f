"""Whether another attempt follows, and when."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from blocks.sdk import Retry
from blocks.sdk.retry import HOPELESS, MAX_ATTEMPTS, MAX_DELAY_S, MAX_FACTOR, NEVER_RETRIED
from executions.engine.plan import PlanNode, plan
from executions.engine.retry import next_delay, policy_of
from executions.engine.spec import NodeSpec

CHANCES = st.floats(0, 1, exclude_max=True)
DELAYS = st.floats(0, MAX_DELAY_S)
ASKED = st.floats(-10, 2 * MAX_DELAY_S)


@st.composite
def policies(draw: st.DrawFn, jitter: float | None = None) -> Retry:
    delay_s, max_delay_s = sorted([draw(DELAYS), draw(DELAYS)])
    return Retry(
        attempts=draw(st.integers(1, MAX_ATTEMPTS)),
        delay_s=delay_s,
        factor=draw(st.floats(1, MAX_FACTOR)),
        max_delay_s=max_delay_s,
        jitter=draw(st.floats(0, 1)) if jitter is None else jitter,
    )


def delay(
    policy: Retry, attempt: int = 1, *, code: str = "HTTP_TIMEOUT", chance: float = 0.5, asked: float | None = None
):
    return next_delay(policy, attempt=attempt, code=code, chance=chance, retry_after_s=asked)


@given(policy=policies(), attempt=st.integers(1, 200), chance=CHANCES)
def test_a_delay_is_never_negative_and_never_beyond_its_bound(policy, attempt, chance):
    found = delay(policy, attempt, chance=chance)

    assert (found is None) == (attempt >= policy.attempts)
    assert found is None or 0 <= found <= policy.max_delay_s * (1 + policy.jitter)


@given(policy=policies(jitter=0), chance=CHANCES)
def test_without_jitter_delays_only_grow(policy, chance):
    found = [delay(policy, attempt, chance=chance) for attempt in range(1, policy.attempts)]

    assert found == sorted(found)
    assert not found or found[0] == policy.delay_s


@given(policy=policies(), part=st.floats(0, 1), chance=CHANCES, asked=ASKED)
def test_what_the_other_side_asks_for_is_a_minimum(policy, part, chance, asked):
    assume(policy.attempts > 1)
    attempt = 1 + round(part * (policy.attempts - 2))

    found = delay(policy, attempt, chance=chance, asked=asked)

    if asked > MAX_DELAY_S:
        assert found is None
    else:
        assert found >= asked
        assert found <= max(policy.max_delay_s, asked) * (1 + policy.jitter)


@pytest.mark.parametrize("asked", [math.nan, 0.0, -5.0])
def test_what_is_no_time_to_wait_is_not_asked_for(asked):
    assert delay(Retry(delay_s=4, jitter=0), asked=asked) == 4


def test_who_asks_for_ever_is_not_waited_for():
    assert delay(Retry(), asked=math.inf) is None


def test_delays_double_from_one_second_by_default():
    policy = Retry(attempts=12)

    delays = [delay(policy, attempt) for attempt in range(1, 12)]

    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_chance_spreads_delays_by_the_jitter():
    policy = Retry(delay_s=10)

    assert (delay(policy, chance=0), delay(policy, chance=0.5), delay(policy, chance=0.75)) == (8, 10, 11)


class TestCodes:
    @pytest.mark.parametrize("code", sorted(HOPELESS | NEVER_RETRIED))
    def test_what_can_not_get_better_is_not_retried_by_itself(self, code):
        assert delay(Retry(), code=code) is None

    @pytest.mark.parametrize(
        "code", ["BLOCK_CRASHED", "BLOCK_ERROR", "TIMEOUT", "RATE_LIMITED", "SOMETHING_OF_A_BLOCK"]
    )
    def test_everything_else_is(self, code):
        assert delay(Retry(), code=code) is not None

    def test_only_what_is_named_is_retried_where_something_is(self):
        policy = Retry(on=("RATE_LIMITED", "OUTPUT_INVALID"))

        assert delay(policy, code="RATE_LIMITED") is not None
        assert delay(policy, code="OUTPUT_INVALID") is not None
        assert delay(policy, code="TIMEOUT") is None


class TestPolicyOf:
    def node(self, retry: Retry | None) -> PlanNode:
        return plan([NodeSpec("a", "x", retry=retry)], []).nodes[0]

    def test_is_that_of_the_node(self):
        assert policy_of(self.node(Retry(attempts=5))) == Retry(attempts=5)

    @pytest.mark.parametrize("retry", [None, Retry(attempts=1)])
    def test_is_none_where_there_is_one_attempt_only(self, retry):
        assert policy_of(self.node(retry)) is None
