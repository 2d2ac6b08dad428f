"""Graphs, their versions, and what a version is made of."""

import agentplatform.lib.clock
import agentplatform.lib.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Graph",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True, default="")),
                ("is_archived", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ("updated_at", models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="graphs", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "graphs_graph",
            },
        ),
        migrations.CreateModel(
            name="GraphVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField(blank=True, null=True)),
                ("checksum", models.CharField(blank=True, default="", max_length=64)),
                ("created_at", models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                (
                    "graph",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="versions",
                        to="graphs.graph",
                    ),
                ),
            ],
            options={
                "db_table": "graphs_graphversion",
            },
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=64)),
                ("block_id", models.CharField(db_index=True, max_length=200)),
                ("title", models.CharField(blank=True, default="", max_length=200)),
                ("inputs", models.JSONField(blank=True, default=dict)),
                (
                    "on_error",
                    models.CharField(
                        choices=[("fail", "fail the execution"), ("continue", "treat as skipped")],
                        default="fail",
                        max_length=16,
                    ),
                ),
                ("position_x", models.FloatField(default=0)),
                ("position_y", models.FloatField(default=0)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("order", models.PositiveIntegerField(default=0)),
                (
                    "version",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="nodes",
                        to="graphs.graphversion",
                    ),
                ),
            ],
            options={
                "db_table": "graphs_node",
                "ordering": ["version", "order", "key"],
            },
        ),
        migrations.CreateModel(
            name="Link",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("source_pin", models.CharField(max_length=400)),
                ("sink_pin", models.CharField(max_length=400)),
                ("is_static", models.BooleanField(default=False)),
                ("order", models.PositiveIntegerField()),
                (
                    "version",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="links",
                        to="graphs.graphversion",
                    ),
                ),
                (
                    "sink",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="links_in",
                        to="graphs.node",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="links_out",
                        to="graphs.node",
                    ),
                ),
            ],
            options={
                "db_table": "graphs_link",
                "ordering": ["version", "order"],
            },
        ),
        migrations.AddIndex(
            model_name="graph",
            index=models.Index(fields=["owner", "-id"], name="graphs_graph_newest_of_owner"),
        ),
        migrations.AddConstraint(
            model_name="graphversion",
            constraint=models.UniqueConstraint(
                fields=("graph", "number"), name="a_version_number_is_unique_in_its_graph"
            ),
        ),
        migrations.AddConstraint(
            model_name="graphversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("published_at__isnull", True)),
                fields=("graph",),
                name="a_graph_has_at_most_one_draft",
            ),
        ),
        migrations.AddConstraint(
            model_name="graphversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("checksum", ""), ("number__isnull", True), ("published_at__isnull", True)),
                    models.Q(
                        ("number__gte", 1), ("published_at__isnull", False), models.Q(("checksum", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="a_published_version_has_a_number_and_a_checksum",
            ),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.UniqueConstraint(fields=("version", "key"), name="a_node_key_is_unique_in_its_version"),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.UniqueConstraint(fields=("version", "id"), name="a_node_belongs_to_one_version"),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.CheckConstraint(
                condition=models.Q(("on_error__in", ["fail", "continue"])), name="a_node_fails_or_continues"
            ),
        ),
        migrations.AddConstraint(
            model_name="link",
            constraint=models.UniqueConstraint(fields=("version", "order"), name="a_link_has_its_own_place"),
        ),
    ]
