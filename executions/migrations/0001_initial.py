"""Executions and their node executions, partitioned by month on the execution's id."""

import agentplatform.lib.clock
import agentplatform.lib.ids
import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from agentplatform.lib.partitions import CreatePartitionedModel


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('graphs', '0002_guard_versions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        CreatePartitionedModel(
            name='Execution',
            key='id',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('QUEUED', 'QUEUED'), ('RUNNING', 'RUNNING'), ('WAITING', 'WAITING'), ('CANCELLING', 'CANCELLING'), ('SUCCEEDED', 'SUCCEEDED'), ('FAILED', 'FAILED'), ('CANCELLED', 'CANCELLED'), ('BUDGET_EXCEEDED', 'BUDGET_EXCEEDED')], default='QUEUED', max_length=16)),
                ('inputs', models.JSONField(default=dict)),
                ('outputs', models.JSONField(default=dict)),
                ('segments_done', django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), default=list, size=None)),
                ('is_stopping', models.BooleanField(default=False)),
                ('error_code', models.CharField(blank=True, default='', max_length=64)),
                ('error_message', models.TextField(blank=True, default='')),
                ('error_hint', models.TextField(blank=True, default='')),
                ('error_node', models.CharField(blank=True, default='', max_length=64)),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cost_microcredits', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('launched_at', models.DateTimeField(blank=True, null=True)),
                ('launches', models.PositiveSmallIntegerField(default=0)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('graph', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='executions', to='graphs.graph')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='executions', to=settings.AUTH_USER_MODEL)),
                ('version', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='executions', to='graphs.graphversion')),
            ],
            options={
                'db_table': 'executions_execution',
            },
        ),
        CreatePartitionedModel(
            name='NodeExecution',
            key='execution',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('node_key', models.CharField(max_length=64)),
                ('item_path', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, size=None)),
                ('status', models.CharField(choices=[('PENDING', 'PENDING'), ('RUNNING', 'RUNNING'), ('WAITING', 'WAITING'), ('SUCCEEDED', 'SUCCEEDED'), ('FAILED', 'FAILED'), ('SKIPPED', 'SKIPPED'), ('INCOMPLETE', 'INCOMPLETE'), ('CANCELLED', 'CANCELLED')], default='PENDING', max_length=16)),
                ('attempt', models.PositiveSmallIntegerField(default=1)),
                ('fence', models.PositiveIntegerField(default=1)),
                ('lease_expires_at', models.DateTimeField(blank=True, null=True)),
                ('worker', models.CharField(blank=True, default='', max_length=64)),
                ('inputs', models.JSONField(default=dict)),
                ('outputs', models.JSONField(default=dict)),
                ('missing_pins', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=400), default=list, size=None)),
                ('error_code', models.CharField(blank=True, default='', max_length=64)),
                ('error_message', models.TextField(blank=True, default='')),
                ('error_hint', models.TextField(blank=True, default='')),
                ('usage', models.JSONField(default=dict)),
                ('cost_microcredits', models.BigIntegerField(default=0)),
                ('queued_at', models.DateTimeField(blank=True, null=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('execution', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='node_executions', to='executions.execution')),
            ],
            options={
                'db_table': 'executions_nodeexecution',
            },
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(fields=['owner', '-id'], name='executions_newest_of_owner'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(fields=['owner', 'status', '-id'], name='executions_of_owner_by_status'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(fields=['graph', '-id'], name='executions_newest_of_graph'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('status__in', ['QUEUED', 'RUNNING'])), fields=['launched_at'], name='executions_in_flight'),
        ),
        migrations.AddConstraint(
            model_name='execution',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['QUEUED', 'RUNNING', 'WAITING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED'])), name='an_execution_has_a_known_status'),
        ),
        migrations.AddConstraint(
            model_name='execution',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['BUDGET_EXCEEDED', 'CANCELLED', 'FAILED', 'SUCCEEDED']), _negated=True), ('ended_at__isnull', False), _connector='OR'), name='a_final_execution_has_ended'),
        ),
        migrations.AddConstraint(
            model_name='execution',
            constraint=models.CheckConstraint(condition=models.Q(('cost_microcredits__gte', 0)), name='an_execution_costs_nothing_or_more'),
        ),
        migrations.AddIndex(
            model_name='nodeexecution',
            index=models.Index(condition=models.Q(('status', 'RUNNING')), fields=['lease_expires_at'], name='node_executions_leased'),
        ),
        migrations.AddConstraint(
            model_name='nodeexecution',
            constraint=models.UniqueConstraint(fields=('execution', 'node_key', 'item_path'), name='a_node_fires_once_at_a_path'),
        ),
        migrations.AddConstraint(
            model_name='nodeexecution',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['PENDING', 'RUNNING', 'WAITING', 'SUCCEEDED', 'FAILED', 'SKIPPED', 'INCOMPLETE', 'CANCELLED'])), name='a_firing_has_a_known_status'),
        ),
        migrations.AddConstraint(
            model_name='nodeexecution',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['CANCELLED', 'FAILED', 'INCOMPLETE', 'SKIPPED', 'SUCCEEDED']), _negated=True), ('ended_at__isnull', False), _connector='OR'), name='a_final_firing_has_ended'),
        ),
        migrations.AddConstraint(
            model_name='nodeexecution',
            constraint=models.CheckConstraint(condition=models.Q(('cost_microcredits__gte', 0)), name='a_firing_costs_nothing_or_more'),
        ),
    ]
