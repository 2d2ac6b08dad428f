"""Item paths: each rule by an example, and the whole by comparison with the reference interpreter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.engine.items import DEAD, EMPTY, UNOPENED, Outcome, gather, items_of, last_live, match, merge
from executions.engine.status import NodeStatus
from graphs.pins import parse
from tests import reference

SUCCEEDED, FAILED, SKIPPED = NodeStatus.SUCCEEDED, NodeStatus.FAILED, NodeStatus.SKIPPED


def items(outcome: Outcome, pin: str, path: tuple[int, ...] = (), *, is_stream: bool = False) -> dict[Any, Any]:
    return dict(items_of(outcome, path, parse(pin), is_stream=is_stream))


class TestItemsOf:
    @pytest.mark.parametrize(
        ("values", "is_stream", "expected"),
        [
            ([], False, {(7,): DEAD}),
            (["a"], False, {(7,): "a"}),
            (["a", "b"], False, {(7, 0): "a", (7, 1): "b"}),
            ([], True, {(7, EMPTY): DEAD}),
            (["a"], True, {(7, 0): "a"}),
            (["a", "b"], True, {(7, 0): "a", (7, 1): "b"}),
        ],
    )
    def test_follows_the_table(self, values, is_stream, expected):
        outcome = Outcome(SUCCEEDED, {"out": values} if values else {})

        assert items(outcome, "out", (7,), is_stream=is_stream) == expected

    @pytest.mark.parametrize("status", [FAILED, SKIPPED, NodeStatus.INCOMPLETE])
    def test_what_did_not_succeed_is_dead_and_opened_no_stream(self, status):
        assert items(Outcome(status), "out", (1, 2)) == {(1, 2): DEAD}
        assert items(Outcome(status), "out", (1, 2), is_stream=True) == {(1, 2, UNOPENED): DEAD}

    def test_a_handled_failure_gives_one_error(self):
        outcome = Outcome(FAILED, {"error": [{"code": "X"}]})

        assert items(outcome, "error", (3,)) == {(3,): {"code": "X"}}
        assert items(outcome, "error_#_code", (3,)) == {(3,): "X"}
        assert items(outcome, "out", (3,)) == {(3,): DEAD}

    def test_drills_into_each_item_and_marks_what_is_missing(self):
        outcome = Outcome(SUCCEEDED, {"out": [{"a": [1, 2]}, {"a": [1]}, {"b": 0}, "text"]})

        assert items(outcome, "out_#_a_$_1") == {(0,): 2, (1,): DEAD, (2,): DEAD, (3,): DEAD}

    @pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
    def test_an_empty_value_is_a_value(self, value):
        assert items(Outcome(SUCCEEDED, {"out": [value]}), "out") == {(): value}


def merged(*links: dict[Any, Any]) -> dict[Any, Any]:
    return merge([list(link.items()) for link in links])


class TestMerge:
    def test_of_one_link_changes_nothing(self):
        assert merged({(): "a", (1,): DEAD}) == {(): "a", (1,): DEAD}

    def test_moves_down_what_two_firings_gave_at_one_path(self):
        assert merge([[((0,), "a"), ((0,), "b")]]) == {(0, 0): "a", (0, 1): "b"}

    def test_takes_the_one_that_is_live(self):
        assert merged({(): DEAD}, {(): "b"}) == {(): "b"}

    def test_moves_several_down_in_link_order(self):
        assert merged({(): "a"}, {(): "b"}) == {(0,): "a", (1,): "b"}

    def test_lets_what_moved_come_first_where_it_meets_another(self):
        assert merged({(): "a", (0,): "x"}, {(): "b"}) == {(0, 0): "a", (0, 1): "x", (1,): "b"}

    def test_is_dead_where_nobody_is_live(self):
        assert merged({(): DEAD}, {(): DEAD, (1,): DEAD}) == {(): DEAD, (1,): DEAD}


class TestGather:
    def test_takes_one_number_off_in_order_of_paths(self):
        assert gather({(1, 1): "d", (0, 10): "c", (0, 9): "b", (0,): "a"}) == {(): ["a"], (0,): ["b", "c"], (1,): ["d"]}

    def test_of_a_group_of_dead_paths_is_the_empty_list(self):
        assert gather({(0, EMPTY): DEAD, (1, 0): DEAD, (1, 1): "x"}) == {(0,): [], (1,): ["x"]}

    def test_of_a_stream_that_was_not_opened_is_dead_unless_the_group_is_there(self):
        assert gather({(0, UNOPENED): DEAD}) == {(0,): DEAD}
        assert gather({(0, UNOPENED): DEAD, (0, 3): "x"}) == {(0,): ["x"]}

    def test_puts_the_plain_value_first(self):
        assert gather({(0,): "b", (): "a"}) == {(): ["a", "b"]}

    def test_of_a_dead_plain_path_is_dead_unless_the_group_is_there(self):
        assert gather({(): DEAD}) == {(): DEAD}
        assert gather({(): DEAD, (0,): DEAD}) == {(): []}


class TestLastLive:
    def test_takes_the_last_by_path_of_the_last_link_that_has_one(self):
        links = [[((5,), "a")], [((1,), "b"), ((0, 9), "c"), ((2,), DEAD)], [((), DEAD)]]

        assert last_live(links) == "b"

    def test_is_dead_if_there_is_none(self):
        assert last_live([[((), DEAD)], []]) is DEAD


class TestMatch:
    def test_fires_once_without_pins(self):
        assert match({}).firings == {(): {}}

    def test_lets_a_plain_value_meet_every_item(self):
        matched = match({"a": {(): 1}, "b": {(0,): 2, (1,): 3}})

        assert matched.firings == {(0,): {"a": 1, "b": 2}, (1,): {"a": 1, "b": 3}}
        assert (matched.skipped, matched.incomplete) == ([], {})

    def test_zips_equal_paths_and_names_who_has_no_partner(self):
        matched = match({"a": {(0,): 1, (1,): 2}, "b": {(0,): 3}})

        assert matched.firings == {(0,): {"a": 1, "b": 3}}
        assert matched.incomplete == {(1,): ("b",)}

    def test_skips_where_a_partner_is_dead(self):
        matched = match({"a": {(0,): 1, (1,): DEAD}, "b": {(): 3}})

        assert (list(matched.firings), matched.skipped) == ([(0,)], [(1,)])

    def test_skips_a_lone_dead_path(self):
        matched = match({"a": {(0,): 1, (1,): DEAD}, "b": {(0,): 3}})

        assert (matched.skipped, matched.incomplete) == ([(1,)], {})


PATHS = st.lists(st.integers(-2, 2), max_size=3).map(tuple)
#: None stands for dead.
VALUES = st.one_of(st.none(), st.integers(0, 9))
ENTRIES = st.dictionaries(PATHS, VALUES, max_size=7)
LINK = st.lists(st.tuples(PATHS, VALUES), max_size=7)

Pairs = list[tuple[tuple[int, ...], Any]]


def ours(drawn: Pairs) -> Pairs:
    return [(path, DEAD if value is None else value) for path, value in drawn]


def theirs(drawn: Pairs) -> Pairs:
    return [(path, reference.DEAD if value is None else value) for path, value in drawn]


def plain(found: dict[Any, Any]) -> dict[Any, Any]:
    return {path: None if value in (DEAD, reference.DEAD) else value for path, value in found.items()}


class TestAsTheReference:
    @given(st.lists(LINK, min_size=1, max_size=4))
    def test_merge(self, links):
        expected = reference.merge([theirs(link) for link in links])

        assert plain(merge([ours(link) for link in links])) == plain(expected)

    @given(ENTRIES)
    def test_gather(self, drawn):
        expected = reference.gather(dict(theirs(list(drawn.items()))))

        assert plain(gather(dict(ours(list(drawn.items()))))) == plain(expected)

    @given(st.lists(LINK, min_size=1, max_size=3))
    def test_last_live(self, links):
        expected = reference.last_live([theirs(link) for link in links])

        assert plain({(): last_live([ours(link) for link in links])}) == plain({(): expected})

    @given(st.dictionaries(st.sampled_from(["a", "b", "c"]), ENTRIES, min_size=1))
    def test_match(self, pins):
        matched = match({pin: dict(ours(list(drawn.items()))) for pin, drawn in pins.items()})

        expected = reference.endings({pin: dict(theirs(list(drawn.items()))) for pin, drawn in pins.items()})
        outcomes = {path: end for path, end in expected.items() if isinstance(end, reference.Outcome)}
        assert matched.firings == {path: end for path, end in expected.items() if path not in outcomes}
        assert sorted(matched.skipped) == sorted(path for path, end in outcomes.items() if end.status == "SKIPPED")
        assert matched.incomplete == {path: end.missing for path, end in outcomes.items() if end.status == "INCOMPLETE"}
