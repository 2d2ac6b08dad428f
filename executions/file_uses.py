"""The executions that use files: told when they start, and asked when a file is to be deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from executions.engine.status import FINAL
from executions.file_inputs import files_in
from executions.models import Execution
from files import uses
from files.errors import FileNotFound
from files.models import FileUse


@contextmanager
def noted(execution: Execution) -> Iterator[None]:
    """Write a new execution, within the `with` block, together with the files that it is given: none of them is deleted meanwhile.

    Raises:
        FileNotFound: one was deleted since it was looked at.
    """
    if not (given := files_in(execution.inputs)):
        yield
        return
    with transaction.atomic():
        if uses.hold(given) != given:
            raise FileNotFound(path="inputs")
        uses.note(execution.pk, given)
        yield


def who_needs(file_id: UUID) -> UUID | None:
    """Return an execution that has not ended and was given a file, or has read or written it."""
    users = FileUse.objects.filter(file_id=file_id).values("execution_id")
    going = Execution.objects.filter(pk__in=users).exclude(status__in=FINAL)
    return next(iter(going.values_list("pk", flat=True)[:1]), None)


def forget_old() -> int:
    """Remove the uses of executions whose months were dropped. Return how many."""
    oldest = Execution.objects.order_by("id").values_list("pk", flat=True).first()
    return uses.forget_before(oldest) if oldest else 0
