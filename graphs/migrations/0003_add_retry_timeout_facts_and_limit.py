"""Let a node say how often and how long it is tried, a version keep what its blocks declared, a graph limit what runs of it."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("graphs", "0002_guard_versions")]

    operations = [
        migrations.AddField(
            model_name="graph",
            name="max_concurrent",
            field=models.PositiveIntegerField(
                blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)]
            ),
        ),
        migrations.AddField(
            model_name="node", name="facts", field=models.JSONField(blank=True, editable=False, null=True)
        ),
        migrations.AddField(model_name="node", name="retry", field=models.JSONField(blank=True, null=True)),
        migrations.AddField(model_name="node", name="timeout_s", field=models.FloatField(blank=True, null=True)),
        migrations.AddConstraint(
            model_name="graph",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_concurrent__gte", 1)), name="a_graph_may_run_at_least_once_at_a_time"
            ),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.CheckConstraint(
                condition=models.Q(("timeout_s__gt", 0)), name="a_node_has_time_to_run"
            ),
        ),
    ]
