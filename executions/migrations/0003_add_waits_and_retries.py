"""What waiting, retrying, sub-graphs and fair admission need to remember."""

from pathlib import Path

import agentplatform.lib.clock
import agentplatform.lib.ids
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import executions.engine.waits
from django.conf import settings
from django.db import migrations, models


SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0002_guard_ends'),
        ('graphs', '0002_guard_versions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Wait',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('execution_id', models.UUIDField(editable=False)),
                ('node_key', models.CharField(max_length=64)),
                ('item_path', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, size=None)),
                ('call_key', models.CharField(max_length=64)),
                ('kind', models.CharField(choices=[('TIMER', 'TIMER'), ('APPROVAL', 'APPROVAL'), ('EVENT', 'EVENT'), ('DECISION', 'DECISION'), ('CHILD', 'CHILD')], max_length=16)),
                ('status', models.CharField(choices=[('OPEN', 'OPEN'), ('ANSWERED', 'ANSWERED'), ('TIMED_OUT', 'TIMED_OUT'), ('CANCELLED', 'CANCELLED')], default=executions.engine.waits.WaitStatus['OPEN'], max_length=16)),
                ('title', models.CharField(blank=True, default='', max_length=200)),
                ('form', models.JSONField(blank=True, default=dict)),
                ('data', models.JSONField(blank=True, default=dict)),
                ('is_editable', models.BooleanField(default=False)),
                ('allowed_users', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), blank=True, default=list, size=None)),
                ('allowed_groups', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), blank=True, default=list, size=None)),
                ('timeout_action', models.CharField(blank=True, default='', max_length=16)),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('event', models.CharField(blank=True, default='', max_length=200)),
                ('child_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('answer', models.JSONField(blank=True, null=True)),
                ('answered_at', models.DateTimeField(blank=True, null=True)),
                ('comment', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
            ],
            options={
                'db_table': 'executions_wait',
            },
        ),
        migrations.RemoveIndex(
            model_name='execution',
            name='executions_in_flight',
        ),
        migrations.AddField(
            model_name='execution',
            name='call_key',
            field=models.CharField(blank=True, default='', editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name='execution',
            name='depth',
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='execution',
            name='is_paused',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='execution',
            name='parent_id',
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='parent_node',
            field=models.CharField(blank=True, default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='execution',
            name='parent_path',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, editable=False, size=None),
        ),
        migrations.AddField(
            model_name='execution',
            name='plan_mark',
            field=models.CharField(blank=True, default='', editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name='execution',
            name='priority',
            field=models.SmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='execution',
            name='resumed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='retried_from_id',
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='root_id',
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='child_cost_microcredits',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='child_input_tokens',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='child_output_tokens',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='crashes',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='due_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='history',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='origin_id',
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='nodeexecution',
            name='waits',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='nodeexecution',
            name='fence',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('launched_at__isnull', False), ('status__in', ['QUEUED', 'RUNNING', 'CANCELLING'])), fields=['launched_at'], name='executions_in_flight'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('is_paused', False), ('launched_at__isnull', True), ('parent_id__isnull', True), ('status', 'QUEUED')), fields=['owner', 'graph', '-priority', 'id'], name='executions_to_admit'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('launched_at__isnull', False), ('parent_id__isnull', True), ('status__in', ['QUEUED', 'RUNNING', 'CANCELLING'])), fields=['owner', 'graph'], name='executions_admitted'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('parent_id__isnull', False)), fields=['parent_id'], name='executions_of_parent'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('root_id__isnull', False)), fields=['root_id'], name='executions_of_root'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('retried_from_id__isnull', False)), fields=['retried_from_id'], name='executions_retried_from'),
        ),
        migrations.AddIndex(
            model_name='nodeexecution',
            index=models.Index(condition=models.Q(('status', 'PENDING')), fields=['due_at'], name='node_executions_pending'),
        ),
        migrations.AddField(
            model_name='wait',
            name='answered_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='answers', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='wait',
            name='owner',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='waits', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='wait',
            index=django.contrib.postgres.indexes.GinIndex(condition=models.Q(('status', 'OPEN')), fields=['allowed_users', 'allowed_groups'], name='waits_open_for_named'),
        ),
        migrations.AddIndex(
            model_name='wait',
            index=models.Index(condition=models.Q(('status', 'OPEN')), fields=['due_at'], name='waits_due'),
        ),
        migrations.AddIndex(
            model_name='wait',
            index=models.Index(condition=models.Q(('status', 'OPEN')), fields=['owner', '-id'], name='waits_open_of_owner'),
        ),
        migrations.AddIndex(
            model_name='wait',
            index=models.Index(condition=models.Q(('child_id__isnull', False), ('status', 'OPEN')), fields=['child_id'], name='waits_for_child'),
        ),
        migrations.AddIndex(
            model_name='wait',
            index=models.Index(condition=models.Q(('kind', 'EVENT'), ('status', 'OPEN')), fields=['owner', 'event'], name='waits_for_event'),
        ),
        migrations.AddConstraint(
            model_name='wait',
            constraint=models.UniqueConstraint(fields=('execution_id', 'node_key', 'item_path', 'call_key'), name='a_firing_waits_once_for_each_call'),
        ),
        migrations.AddConstraint(
            model_name='wait',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['TIMER', 'APPROVAL', 'EVENT', 'DECISION', 'CHILD'])), name='a_wait_has_a_known_kind'),
        ),
        migrations.AddConstraint(
            model_name='wait',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['OPEN', 'ANSWERED', 'TIMED_OUT', 'CANCELLED'])), name='a_wait_has_a_known_status'),
        ),
        migrations.AddConstraint(
            model_name='wait',
            constraint=models.CheckConstraint(condition=models.Q(('status', 'OPEN'), ('answered_at__isnull', False), _connector='OR'), name='a_closed_wait_has_its_time'),
        ),
        migrations.RunSQL(
            sql=(SQL / "0003_fences_and_defaults.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0003_fences_and_defaults_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
