"""Live events: in which order what happened to an execution is told, and what its row alone does not remember."""

from pathlib import Path
from typing import Any

import django.contrib.postgres.fields
from django.db import migrations, models

from agentplatform.lib.clock import now
from agentplatform.lib.partitions import CreatePartitionedModel, ensure_months

SQL = Path(__file__).parent / "sql"


def create_months(apps: Any, schema_editor: Any) -> None:
    """Create this month's partitions and the next three."""
    with schema_editor.connection.cursor() as cursor:
        ensure_months(cursor, "executions_liveevent", key="execution_id", start=now(), count=4)


class Migration(migrations.Migration):
    dependencies = [("executions", "0006_add_webhooks")]

    operations = [
        CreatePartitionedModel(
            name="LiveEvent",
            key="execution_id",
            fields=[
                ("pk", models.CompositePrimaryKey("execution_id", "number", blank=True, editable=False, primary_key=True, serialize=False)),
                ("execution_id", models.UUIDField(editable=False)),
                ("number", models.IntegerField()),
                ("kind", models.CharField(max_length=32)),
                ("node_key", models.CharField(blank=True, default="", max_length=64)),
                ("item_path", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, size=None)),
                ("mark", models.CharField(blank=True, default="", max_length=64)),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "executions_liveevent",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("execution_id", "kind", "node_key", "item_path", "mark"), name="an_event_is_told_once"
                    ),
                    models.CheckConstraint(condition=models.Q(("number__gte", 1)), name="the_first_event_is_number_one"),
                ],
            },
        ),
        migrations.CreateModel(
            name="StatusNote",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("execution_id", models.UUIDField(editable=False)),
                ("kind", models.CharField(max_length=32)),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "executions_statusnote",
                "indexes": [models.Index(fields=["execution_id", "id"], name="status_notes_of_execution")],
            },
        ),
        migrations.RunPython(create_months, migrations.RunPython.noop),
        migrations.RunSQL(
            sql=(SQL / "0007_note_status.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0007_note_status_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
