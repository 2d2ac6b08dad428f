"""Let a node name the credential it asks each provider with, and find the nodes that name one."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index of a large table is made beside those who use it.
    atomic = False
    dependencies = [("graphs", "0003_add_retry_timeout_facts_and_limit")]

    operations = [
        migrations.AddField(
            model_name="node", name="credentials", field=models.JSONField(blank=True, db_default={}, default=dict)
        ),
        AddIndexConcurrently(
            model_name="node",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["credentials"],
                name="nodes_by_credential",
                opclasses=["jsonb_path_ops"],
            ),
        ),
    ]
