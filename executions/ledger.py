"""Give owners credit, take it back, say what they have: movements that people or shops ask for, each of them once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from agentplatform.lib.money import show
from executions import again, statements
from executions.engine.money import MOST_MICROCREDITS, AccountKind, EntryKind, account_id
from executions.errors import AmountInvalid, CreditTooLow, KeyInvalid, KeyTaken
from executions.models import Account, LedgerEntry

MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Balance:
    """What an owner has."""

    credit_microcredits: int
    held_microcredits: int
    #: None: without an end.
    overdraft_microcredits: int | None

    @property
    def available_microcredits(self) -> int | None:
        """Return what can still be set aside for firings; None means without an end."""
        if self.overdraft_microcredits is None:
            return None
        return self.credit_microcredits + self.overdraft_microcredits


def grant(owner_id: int, microcredits: int, *, key: str, note: str = "", by_id: int | None = None) -> LedgerEntry:
    """Give an owner credit. The same key again changes nothing, and returns what was written first.

    Raises:
        AmountInvalid, KeyInvalid: it can not be written.
        KeyTaken: the key stands for another movement.
    """
    return _move(EntryKind.GRANT, owner_id, microcredits, source=AccountKind.ISSUED, key=key, note=note, by_id=by_id)


def top_up(owner_id: int, microcredits: int, *, key: str, note: str = "", by_id: int | None = None) -> LedgerEntry:
    """Add credit that an owner has bought: otherwise as `grant`."""
    return _move(EntryKind.TOP_UP, owner_id, microcredits, source=AccountKind.ISSUED, key=key, note=note, by_id=by_id)


def refund(owner_id: int, microcredits: int, *, key: str, note: str = "", by_id: int | None = None) -> LedgerEntry:
    """Give back what an owner has paid: otherwise as `grant`."""
    return _move(EntryKind.REFUND, owner_id, microcredits, source=AccountKind.REVENUE, key=key, note=note, by_id=by_id)


def adjust(owner_id: int, microcredits: int, *, key: str, note: str = "", by_id: int | None = None) -> LedgerEntry:
    """Put credit right: more of it, or less where the amount is below zero. Otherwise as `grant`.

    Raises:
        CreditTooLow: it would fall below its overdraft.
    """
    return _move(
        EntryKind.ADJUSTMENT, owner_id, microcredits, source=AccountKind.ISSUED, key=key, note=note, by_id=by_id
    )


def set_overdraft(owner_id: int, microcredits: int | None) -> Balance:
    """Say how far the credit of an owner may fall below zero; None means without an end.

    Raises:
        AmountInvalid: it is below zero, or beyond everything.
        CreditTooLow: it has fallen further already.
    """
    if microcredits is not None:
        _check_amount(microcredits, at_least=0)
    return again.if_locked(partial(_set_overdraft, owner_id, microcredits))


def balance_of(owner_id: int) -> Balance:
    """Return what an owner has: one look at two rows, however much has been moved."""
    rows = Account.objects.filter(owner_id=owner_id).values_list(
        "kind", "balance_microcredits", "overdraft_microcredits"
    )
    found = {kind: (balance, overdraft) for kind, balance, overdraft in rows}
    credit, overdraft = found.get(AccountKind.CREDIT, (0, settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS))
    return Balance(credit, found.get(AccountKind.HELD, (0, None))[0], overdraft)


@dataclass(frozen=True, slots=True)
class Difference:
    """An account whose balance is not what its entries add up to."""

    account_id: int
    name: str
    balance_microcredits: int
    entries_microcredits: int


def differences() -> list[Difference]:
    """Add all entries up again, and return the accounts of owners that say something else."""
    sums = _sums()
    accounts = Account.objects.filter(owner__isnull=False).select_related("owner").order_by("pk")
    return [
        Difference(account.pk, str(account), account.balance_microcredits, sums.get(account.pk, 0))
        for account in accounts
        if account.balance_microcredits != sums.get(account.pk, 0)
    ]


def totals() -> dict[AccountKind, int]:
    """Return what lies on all accounts of a kind, going by the entries: together that is nothing, as each entry gives and takes."""
    kinds = dict(Account.objects.values_list("pk", "kind"))
    found = dict.fromkeys(AccountKind, 0)
    for pk, total in _sums().items():
        found[AccountKind(kinds[pk])] += total
    return found


def _sums() -> dict[int, int]:
    sums: dict[int, int] = {}
    for side, sign in (("credit_id", 1), ("debit_id", -1)):
        for pk, total in LedgerEntry.objects.order_by().values_list(side).annotate(total=Sum("amount_microcredits")):
            sums[pk] = sums.get(pk, 0) + sign * int(total)
    return sums


def _move(
    kind: EntryKind, owner_id: int, microcredits: int, *, source: AccountKind, key: str, note: str, by_id: int | None
) -> LedgerEntry:
    _check_amount(abs(microcredits) if kind is EntryKind.ADJUSTMENT else microcredits, at_least=1)
    if not 0 < len(key) <= MAX_KEY or "\0" in key + note:
        raise KeyInvalid(path="key")
    debit, credit = account_id(source), account_id(AccountKind.CREDIT, owner_id)
    if microcredits < 0:
        debit, credit = credit, debit
    entry = {
        "kind": kind,
        "debit": debit,
        "credit": credit,
        "amount": abs(microcredits),
        "owner_id": owner_id,
        "key": key,
        "note": note,
        "by_id": by_id,
    }
    return again.if_locked(partial(_write_once, entry)) if _is_outermost() else _write_once(entry)


def _write_once(entry: dict[str, Any]) -> LedgerEntry:
    with transaction.atomic():
        available = _locked_credit(entry["owner_id"])
        written = LedgerEntry.objects.filter(owner_id=entry["owner_id"], key=entry["key"]).first()
        if written is None:
            takes = entry["debit"] == account_id(AccountKind.CREDIT, entry["owner_id"])
            if takes and available is not None and available < entry["amount"]:
                raise CreditTooLow(f"Only {show(available)} can be taken, not {show(entry['amount'])}.")
            with statements.cursor() as cursor:
                statements.run(cursor, "money_move", entries=statements.records([entry]))
            return LedgerEntry.objects.get(owner_id=entry["owner_id"], key=entry["key"])
    if (written.kind, written.debit_id, written.credit_id, written.amount_microcredits) != (
        entry["kind"],
        entry["debit"],
        entry["credit"],
        entry["amount"],
    ):
        raise KeyTaken(f"The key {entry['key']!r} stands for a movement of {show(written.amount_microcredits)}.")
    return written


def _set_overdraft(owner_id: int, microcredits: int | None) -> Balance:
    with transaction.atomic():
        _locked_credit(owner_id)
        balance = balance_of(owner_id)
        if microcredits is not None and balance.credit_microcredits < -microcredits:
            raise CreditTooLow(f"The credit is {show(balance.credit_microcredits)} already.")
        Account.objects.filter(pk=account_id(AccountKind.CREDIT, owner_id)).update(overdraft_microcredits=microcredits)
        return balance_of(owner_id)


def _locked_credit(owner_id: int) -> int | None:
    """Lock the credit of an owner, opened if need be. Return what can be taken from it; None means without an end."""
    overdraft = settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS
    with statements.together() as send:
        send("money_open", ids=[], owners=[owner_id], overdraft=overdraft)
        send("money_lock_credit", ids=[], owners=[owner_id])
    return balance_of(owner_id).available_microcredits


def _check_amount(microcredits: int, *, at_least: int) -> None:
    if isinstance(microcredits, bool) or not isinstance(microcredits, int):
        raise AmountInvalid(path="microcredits")
    if not at_least <= microcredits <= MOST_MICROCREDITS:
        raise AmountInvalid(f"It can be {at_least} to {MOST_MICROCREDITS:,} micro-credits.", path="microcredits")


def _is_outermost() -> bool:
    return not connection.in_atomic_block
