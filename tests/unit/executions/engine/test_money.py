"""The rules of money: nothing is made, nothing is lost, and nobody spends what is not there."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from executions.engine.money import (
    ACCOUNT_NUMBERS,
    AccountKind,
    Charge,
    EntryKind,
    Held,
    Movement,
    Purses,
    Quote,
    account_id,
    pay,
    set_aside,
)

OWNERS = (1, 2, 3)
BUDGETS = (10, 11)
amounts = st.integers(0, 60)
credits = st.one_of(st.none(), st.integers(0, 200))


@st.composite
def wishes(draw: st.DrawFn) -> tuple[list[Quote], dict[int, int | None], dict[int, int]]:
    """Draw what claims want to have set aside, some for firings for which something was before; and what there is."""
    quotes = []
    for fence in range(1, draw(st.integers(1, 8)) + 1):
        owner_id = draw(st.sampled_from(OWNERS))
        budget_ids = tuple(draw(st.sets(st.sampled_from(BUDGETS))))
        before = Held(100 + fence, owner_id, draw(st.integers(1, 60)), budget_ids) if draw(st.booleans()) else None
        quotes.append(Quote(fence, owner_id, draw(amounts), budget_ids, before))
    credit = {owner_id: draw(credits) for owner_id in OWNERS}
    return quotes, credit, {budget_id: draw(st.integers(0, 150)) for budget_id in BUDGETS}


@st.composite
def bills(draw: st.DrawFn) -> tuple[list[Charge], dict[int, int | None]]:
    """Draw what claims have cost: with something set aside for them, for an earlier claim of theirs, or with nothing."""
    charges = []
    for fence in range(1, draw(st.integers(1, 8)) + 1):
        owner_id = draw(st.sampled_from(OWNERS))
        of = draw(st.sampled_from([None, fence, 100 + fence]))
        held = None if of is None else Held(of, owner_id, draw(st.integers(1, 60)))
        charges.append(Charge(fence, owner_id, draw(amounts), (), held))
    return charges, {owner_id: draw(credits) for owner_id in OWNERS}


def changes(moves: list[Movement]) -> Counter[int]:
    """Return what transfers make of each account."""
    sums: Counter[int] = Counter()
    for move in moves:
        sums[move.debit] -= move.microcredits
        sums[move.credit] += move.microcredits
    return sums


def of(kind: AccountKind, owner_id: int) -> int:
    return account_id(kind, owner_id)


class TestSetAside:
    @given(wishes())
    def test_holds_what_it_says_and_refuses_the_rest(self, asked):
        quotes, credit, budgets = asked

        moves, refused = set_aside(quotes, Purses(dict(credit), dict(budgets)))

        held = Counter({move.fence: move.microcredits for move in moves if move.kind is EntryKind.HOLD})
        for quote in quotes:
            assert held[quote.fence] == (0 if quote.fence in refused else quote.microcredits)

    @given(wishes())
    def test_takes_no_more_than_there_is(self, asked):
        quotes, credit, budgets = asked

        moves, refused = set_aside(quotes, Purses(dict(credit), dict(budgets)))

        sums = changes(moves)
        for owner_id, left in credit.items():
            assert left is None or left + sums[of(AccountKind.CREDIT, owner_id)] >= 0
        for budget_id, left in budgets.items():
            back = sum(one.before.microcredits for one in quotes if one.before and budget_id in one.budget_ids)
            taken = [one.microcredits for one in quotes if budget_id in one.budget_ids and one.fence not in refused]
            assert sum(taken) <= max(left + back, 0)

    @given(wishes())
    def test_gives_back_once_what_was_set_aside_before(self, asked):
        quotes, credit, budgets = asked

        moves, _ = set_aside(quotes, Purses(dict(credit), dict(budgets)))

        released = Counter({move.fence: move.microcredits for move in moves if move.kind is EntryKind.RELEASE})
        assert released == Counter({one.before.fence: one.before.microcredits for one in quotes if one.before})

    @given(wishes())
    def test_refuses_only_what_does_not_fit(self, asked):
        quotes, credit, budgets = asked

        _, refused = set_aside(quotes, Purses(dict(credit), dict(budgets)))

        for quote in quotes:
            if quote.fence in refused:
                assert credit[quote.owner_id] is not None or quote.budget_ids


class TestPay:
    @given(bills())
    def test_all_that_was_used_is_paid_or_written_off(self, asked):
        charges, credit = asked

        moves = pay(charges, Purses(dict(credit)))

        used = Counter({one.fence: one.microcredits for one in charges})
        paid: Counter[int] = Counter()
        for move in moves:
            if move.kind is not EntryKind.RELEASE:
                assert move.credit == account_id(AccountKind.REVENUE)
                paid[move.fence] += move.microcredits
        assert +paid == +used

    @given(bills())
    def test_nobody_pays_more_than_there_is(self, asked):
        charges, credit = asked

        sums = changes(pay(charges, Purses(dict(credit))))

        for owner_id, left in credit.items():
            assert left is None or left + sums[of(AccountKind.CREDIT, owner_id)] >= 0

    @given(bills())
    def test_nothing_stays_set_aside(self, asked):
        charges, credit = asked

        sums = changes(pay(charges, Purses(dict(credit))))

        for owner_id in OWNERS:
            held = sum(one.held.microcredits for one in charges if one.held and one.owner_id == owner_id)
            assert sums[of(AccountKind.HELD, owner_id)] == -held

    @given(bills())
    def test_a_claim_is_charged_once_of_a_kind(self, asked):
        charges, credit = asked

        moves = pay(charges, Purses(dict(credit)))

        assert max(Counter((move.fence, move.kind) for move in moves).values(), default=1) == 1

    @given(bills())
    def test_nothing_is_written_off_while_there_is_credit(self, asked):
        charges, credit = asked

        moves = pay(charges, Purses(dict(credit)))
        sums = changes(moves)

        for move in moves:
            if move.kind is EntryKind.WRITE_OFF:
                owner_id = charges[move.place].owner_id
                left = credit[owner_id]
                assert left is not None
                assert left + sums[of(AccountKind.CREDIT, owner_id)] == 0


@given(st.lists(st.tuples(st.sampled_from(list(ACCOUNT_NUMBERS)), st.integers(0, 10**9)), unique=True))
def test_no_two_accounts_have_one_id(accounts):
    assert len({account_id(kind, owner_id) for kind, owner_id in accounts}) == len(accounts)
