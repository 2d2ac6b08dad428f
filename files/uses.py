"""Which executions use which files. Executions lie above this app: who knows which of them go on says so when it starts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from django.db import connection

from files.errors import FileInUse
from files.models import FileUse

#: Returns one of those who use a file and have not ended.
Finder = Callable[[UUID], UUID | None]

_finders: list[Finder] = []

#: Of one statement, so that none holds others up.
AT_ONCE = 10_000

#: With the weakest lock there is, which only a deletion waits for.
HOLD = "SELECT id FROM files_file WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"


def register(finder: Finder) -> None:
    """Have `finder` asked who needs a file that is to be deleted."""
    if finder not in _finders:
        _finders.append(finder)


def note(execution_id: UUID, file_ids: Collection[UUID]) -> None:
    """Note that an execution uses files."""
    rows = [FileUse(file_id=file_id, execution_id=execution_id) for file_id in sorted(file_ids)]
    FileUse.objects.bulk_create(rows, ignore_conflicts=True)


def hold(file_ids: Collection[UUID]) -> set[UUID]:
    """Keep files from being deleted until the end of the transaction. Return those that are there."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD, [sorted(file_ids)])
        return {file_id for (file_id,) in cursor.fetchall()}


def refuse_needed(file_id: UUID) -> None:
    """See to it that nobody who has not ended uses a file.

    Raises:
        FileInUse: somebody does.
    """
    for finder in _finders:
        if execution_id := finder(file_id):
            raise FileInUse(f"The execution {execution_id}, which has not ended, uses it.")


def forget_before(execution_id: UUID) -> int:
    """Remove what is known of executions older than this one, a part at a time. Return how many uses that were."""
    older = FileUse.objects.filter(execution_id__lt=execution_id)
    removed = 0
    while old := list(older.values_list("pk", flat=True)[:AT_ONCE]):
        removed += FileUse.objects.filter(pk__in=old).delete()[0]
    return removed
