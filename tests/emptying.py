"""How the database is emptied after a test that has committed: by deleting, as TRUNCATE would wait for everybody who reads."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.utils import OperationalError

from executions import outbox
from executions.models import TokenPrice
from executions.published_prices import write_published
from tests import canaries

#: What was made with the tables and is there in every installation.
PRICES = TokenPrice._meta.db_table
KEPT = {"django_migrations", "django_content_type", "auth_permission", PRICES}
#: Shorter than the time after which PostgreSQL looks for deadlocks and ends one of two, perhaps the worker of a test.
LOCKED_WITHIN = "200ms"
ATTEMPTS = 50
#: What is sent to a broker that is away takes its time.
OUTBOX_S = 20.0


class Emptying:
    """Empties the database of a test run. To be made while nothing has been written there yet.

    Django's own way locks every table against readers, so it can deadlock with a worker or a web that still reads; and making 70 tables
    anew takes a tenth of a second, mostly for tables in which nothing is.
    """

    def __init__(self) -> None:
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        self._tables = sorted(connection.ops.quote_name(table) for table in set(tables) - KEPT)
        self._prices = _fingerprint_of_prices()

    def __call__(self) -> None:
        """Delete what has been written since.

        Raises:
            OperationalError: somebody goes on writing in a transaction that does not end.
            AssertionError: a secret of a test was written in the open.
        """
        # Between tests the database may not be asked, and an error in the midst of a transaction is not what a test is to leave behind.
        outbox.flush(OUTBOX_S)
        self._leaks: set[str] = set()
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                self._delete()
                break
            except OperationalError:
                if not attempts_left:
                    raise
        assert not self._leaks, f"A secret is in the open in {', '.join(sorted(self._leaks))}."

    def _delete(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            # Who is writing ends first: what comes after finds its execution gone. Without triggers, as the ledger is never emptied.
            cursor.execute(
                f"SET LOCAL lock_timeout = '{LOCKED_WITHIN}'; SET LOCAL session_replication_role = replica;"
                f"LOCK TABLE {', '.join(self._tables)} IN EXCLUSIVE MODE"
            )
            cursor.execute("SELECT " + ", ".join(f"EXISTS (SELECT FROM {table})" for table in self._tables))
            for table, is_written in zip(self._tables, cursor.fetchone(), strict=True):
                if is_written:
                    cursor.execute(
                        f"WITH gone AS (DELETE FROM {table} RETURNING {table}::text AS row)"
                        " SELECT EXISTS (SELECT FROM gone WHERE row ~ %s)",
                        [canaries.PATTERN],
                    )
                    if cursor.fetchone()[0]:
                        self._leaks.add(table)
            if _fingerprint_of_prices() != self._prices:
                cursor.execute(f"DELETE FROM {PRICES}")
                write_published()


def _fingerprint_of_prices() -> str:
    columns = "provider, model, input_microcredits, cached_microcredits, output_microcredits, valid_from, note"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT md5(string_agg(({columns})::text, ' ' ORDER BY provider, model, valid_from)) FROM {PRICES}"
        )
        return str(cursor.fetchone()[0])
