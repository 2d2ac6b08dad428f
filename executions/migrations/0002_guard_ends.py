"""Let the database hold what must never change: what has ended. And create the months ahead."""

from pathlib import Path
from typing import Any

from django.db import migrations

from agentplatform.lib.clock import now
from agentplatform.lib.partitions import ensure_months

SQL = Path(__file__).parent / "sql"
TABLES = {"executions_execution": "id", "executions_nodeexecution": "execution_id"}


def create_months(apps: Any, schema_editor: Any) -> None:
    """Create this month's partitions and the next three."""
    with schema_editor.connection.cursor() as cursor:
        for table, key in TABLES.items():
            ensure_months(cursor, table, key=key, start=now(), count=4)


class Migration(migrations.Migration):
    dependencies = [("executions", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=(SQL / "0002_guard_ends.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0002_guard_ends_reverse.sql").read_text(encoding="utf-8"),
        ),
        migrations.RunPython(create_months, migrations.RunPython.noop),
    ]
