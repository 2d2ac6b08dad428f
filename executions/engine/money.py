"""The words of the ledger, and what fits into credit and budgets: pure rules over whole micro-credits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

#: The most that one movement can be: a thousand million credits. Sums of many stay far below what a column holds.
MOST_MICROCREDITS = 10**15


class AccountKind(StrEnum):
    """What an account is for."""

    #: What an owner may still spend.
    CREDIT = "CREDIT"
    #: What is set aside for firings of an owner that run just now.
    HELD = "HELD"
    #: Where credit comes from: its balance is what all owners were given, below zero.
    ISSUED = "ISSUED"
    #: What owners have paid.
    REVENUE = "REVENUE"
    #: What was used and could not be paid.
    WRITTEN_OFF = "WRITTEN_OFF"


class EntryKind(StrEnum):
    """Why money has moved."""

    #: Given to an owner.
    GRANT = "GRANT"
    #: Bought by an owner.
    TOP_UP = "TOP_UP"
    #: Set aside for a firing before it begins.
    HOLD = "HOLD"
    #: Paid for a firing: out of what was set aside for it, or straight from the credit where nothing was.
    SETTLE = "SETTLE"
    #: Given back of what was set aside.
    RELEASE = "RELEASE"
    #: Paid for a firing beyond what was set aside for it.
    EXCESS = "EXCESS"
    #: Used by a firing and beyond what its owner can pay.
    WRITE_OFF = "WRITE_OFF"
    #: Paid back to an owner.
    REFUND = "REFUND"
    #: Put right by a person, either way.
    ADJUSTMENT = "ADJUSTMENT"


#: What people and shops move.
MOVED = (EntryKind.GRANT, EntryKind.TOP_UP, EntryKind.REFUND, EntryKind.ADJUSTMENT)
#: What firings have used, paid for or not: together, what executions cost.
USED = (EntryKind.SETTLE, EntryKind.EXCESS, EntryKind.WRITE_OFF)


class BudgetScope(StrEnum):
    """Whose spending a budget limits: that of outermost executions, with all that these start."""

    EXECUTION = "EXECUTION"
    GRAPH = "GRAPH"
    API_KEY = "API_KEY"
    OWNER = "OWNER"


class BudgetPeriod(StrEnum):
    """After what time a budget begins anew."""

    #: Never.
    NONE = "NONE"
    #: At midnight UTC.
    DAY = "DAY"


#: The id of an account follows from whose it is and its kind, so that a statement need not look it up; the platform's owner is 0.
ACCOUNT_NUMBERS = {kind: number for number, kind in enumerate(AccountKind, start=1)}
NUMBERS_OF_ONE_OWNER = 8
PLATFORM = 0
OF_OWNERS = (AccountKind.CREDIT, AccountKind.HELD)
OF_PLATFORM = (AccountKind.ISSUED, AccountKind.REVENUE, AccountKind.WRITTEN_OFF)


def account_id(kind: AccountKind, owner_id: int = PLATFORM) -> int:
    """Return the id of an account."""
    return owner_id * NUMBERS_OF_ONE_OWNER + ACCOUNT_NUMBERS[kind]


@dataclass(frozen=True, slots=True)
class Held:
    """What is set aside for a claim just now."""

    fence: int
    owner_id: int
    microcredits: int
    budget_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Quote:
    """What a claim wants to have set aside, and by whom; what was set aside for the same firing before is free again."""

    fence: int
    owner_id: int
    microcredits: int
    budget_ids: tuple[int, ...] = ()
    before: Held | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What a claim has cost, to be paid by whom; and what was set aside for its firing."""

    fence: int
    owner_id: int
    microcredits: int
    budget_ids: tuple[int, ...] = ()
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """A transfer between two accounts for the claim at a place in what was asked for."""

    place: int
    kind: EntryKind
    debit: int
    credit: int
    microcredits: int
    #: Of the claim that it is for: what is released may be of an earlier one.
    fence: int


@dataclass(slots=True)
class Purses:
    """What may still be spent: by owner, and by budget. None means without an end."""

    credit: dict[int, int | None]
    budgets: dict[int, int] = field(default_factory=dict)

    def give_back(self, held: Held) -> None:
        """Add what is not set aside any more."""
        self._add(held.owner_id, held.budget_ids, held.microcredits)

    def take(self, quote: Quote) -> str | int | None:
        """Take what is to be set aside. Return what does not have enough: "credit", or the id of a budget; then nothing is taken."""
        left = self.credit[quote.owner_id]
        if left is not None and left < quote.microcredits:
            return "credit"
        for budget_id in quote.budget_ids:
            if self.budgets[budget_id] < quote.microcredits:
                return budget_id
        self._add(quote.owner_id, quote.budget_ids, -quote.microcredits)
        return None

    def credit_back(self, owner_id: int, microcredits: int) -> None:
        """Add to the credit alone."""
        self._add(owner_id, (), microcredits)

    def draw(self, owner_id: int, microcredits: int) -> int:
        """Take what was used already, as far as there is any. Return how much that is."""
        left = self.credit[owner_id]
        drawn = microcredits if left is None else max(0, min(microcredits, left))
        self._add(owner_id, (), -drawn)
        return drawn

    def _add(self, owner_id: int, budget_ids: Iterable[int], microcredits: int) -> None:
        left = self.credit[owner_id]
        if left is not None:
            self.credit[owner_id] = left + microcredits
        for budget_id in budget_ids:
            # One that was removed meanwhile counts nothing.
            if budget_id in self.budgets:
                self.budgets[budget_id] += microcredits


def set_aside(quotes: Sequence[Quote], purses: Purses) -> tuple[list[Movement], dict[int, str | int]]:
    """Return the transfers that set aside what fits, in the order asked for, and for each fence that does not: what has too little."""
    moves: list[Movement] = []
    refused: dict[int, str | int] = {}
    for place, quote in enumerate(quotes):
        if quote.before:
            purses.give_back(quote.before)
            moves.append(_release(place, quote.before, quote.before.microcredits))
    for place, quote in enumerate(quotes):
        if not quote.microcredits:
            continue
        if (lacking := purses.take(quote)) is not None:
            refused[quote.fence] = lacking
            continue
        debit, credit = account_id(AccountKind.CREDIT, quote.owner_id), account_id(AccountKind.HELD, quote.owner_id)
        moves.append(Movement(place, EntryKind.HOLD, debit, credit, quote.microcredits, quote.fence))
    return moves, refused


def pay(charges: Sequence[Charge], purses: Purses) -> list[Movement]:
    """Return the transfers that pay for what was used: first from what was set aside, then from the credit; nobody pays the rest."""
    moves: list[Movement] = []
    beyond: list[tuple[int, int]] = []
    for place, charge in enumerate(charges):
        held = charge.held
        # What was set aside for another claim of the firing is given back as a whole.
        settled = min(charge.microcredits, held.microcredits) if held and held.fence == charge.fence else 0
        if held:
            if settled:
                debit = account_id(AccountKind.HELD, charge.owner_id)
                moves.append(_payment(place, EntryKind.SETTLE, debit, settled, charge.fence))
            if rest := held.microcredits - settled:
                purses.credit_back(charge.owner_id, rest)
                moves.append(_release(place, held, rest))
        beyond.append((place, charge.microcredits - settled))
    for place, microcredits in beyond:
        charge = charges[place]
        drawn = purses.draw(charge.owner_id, microcredits)
        if drawn:
            kind = EntryKind.EXCESS if charge.held and charge.held.fence == charge.fence else EntryKind.SETTLE
            debit = account_id(AccountKind.CREDIT, charge.owner_id)
            moves.append(_payment(place, kind, debit, drawn, charge.fence))
        if microcredits > drawn:
            debit = account_id(AccountKind.WRITTEN_OFF)
            moves.append(_payment(place, EntryKind.WRITE_OFF, debit, microcredits - drawn, charge.fence))
    return moves


def _payment(place: int, kind: EntryKind, debit: int, microcredits: int, fence: int) -> Movement:
    return Movement(place, kind, debit, account_id(AccountKind.REVENUE), microcredits, fence)


def _release(place: int, held: Held, microcredits: int) -> Movement:
    debit, credit = account_id(AccountKind.HELD, held.owner_id), account_id(AccountKind.CREDIT, held.owner_id)
    return Movement(place, EntryKind.RELEASE, debit, credit, microcredits, held.fence)
