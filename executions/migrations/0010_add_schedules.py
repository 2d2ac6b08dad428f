"""Schedules, and what became of each of their times: one row, at most one execution."""

import agentplatform.lib.clock
import agentplatform.lib.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0009_let_webhooks_answer_waits'),
        ('graphs', '0004_name_credentials'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('kind', models.CharField(choices=[('cron', 'cron'), ('interval', 'interval'), ('once', 'once')], max_length=16)),
                ('cron', models.CharField(blank=True, default='', max_length=200)),
                ('every_s', models.PositiveIntegerField(blank=True, null=True)),
                ('at', models.DateTimeField(blank=True, null=True)),
                ('timezone', models.CharField(default='UTC', max_length=64)),
                ('inputs', models.JSONField(blank=True, default=dict)),
                ('priority', models.SmallIntegerField(default=0)),
                ('budget_microcredits', models.BigIntegerField(blank=True, null=True)),
                ('jitter_s', models.PositiveIntegerField(default=0)),
                ('catch_up', models.CharField(choices=[('skip', 'leave them out'), ('once', 'start once for all of them'), ('all', 'start for each of the last ones')], default='once', max_length=8)),
                ('max_catch_up', models.PositiveSmallIntegerField(default=10)),
                ('overlap', models.CharField(choices=[('allow', 'start beside it'), ('skip', 'leave it out'), ('queue', 'start when it has ended'), ('cancel', 'cancel what runs, and start')], default='allow', max_length=8)),
                ('is_paused', models.BooleanField(default=False)),
                ('pause_reason', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('next_fire_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('due_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('graph', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to='graphs.graph')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to=settings.AUTH_USER_MODEL)),
                ('version', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to='graphs.graphversion')),
            ],
            options={
                'db_table': 'executions_schedule',
            },
        ),
        migrations.CreateModel(
            name='Fire',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('fire_at', models.DateTimeField(editable=False)),
                ('is_manual', models.BooleanField(default=False, editable=False)),
                ('status', models.CharField(choices=[('FIRED', 'fired'), ('QUEUED', 'queued'), ('SKIPPED', 'skipped'), ('MISSED', 'missed'), ('FAILED', 'failed')], max_length=8)),
                ('reason', models.CharField(blank=True, default='', max_length=64)),
                ('message', models.TextField(blank=True, default='')),
                ('execution_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('schedule', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='fires', to='executions.schedule')),
            ],
            options={
                'db_table': 'executions_fire',
            },
        ),
        migrations.AddIndex(
            model_name='schedule',
            index=models.Index(fields=['owner', '-id'], name='schedules_newest_of_owner'),
        ),
        migrations.AddIndex(
            model_name='schedule',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('is_paused', False)), fields=['due_at'], name='schedules_due'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'cron'), models.Q(('cron', ''), _negated=True)), models.Q(('at__isnull', False), ('every_s__gte', 1), ('kind', 'interval')), models.Q(('at__isnull', False), ('kind', 'once')), _connector='OR'), name='a_schedule_says_when'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.CheckConstraint(condition=models.Q(('catch_up__in', ['skip', 'once', 'all'])), name='a_schedule_knows_how_to_catch_up'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.CheckConstraint(condition=models.Q(('overlap__in', ['allow', 'skip', 'queue', 'cancel'])), name='a_schedule_knows_what_may_overlap'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('due_at__isnull', True), ('next_fire_at__isnull', True)), ('due_at__gte', models.F('next_fire_at')), _connector='OR'), name='a_schedule_is_due_at_its_next_time_or_later'),
        ),
        migrations.AddIndex(
            model_name='fire',
            index=models.Index(fields=['schedule', '-id'], name='fires_newest_of_schedule'),
        ),
        migrations.AddIndex(
            model_name='fire',
            index=models.Index(condition=models.Q(('status', 'FIRED')), fields=['schedule', '-id'], name='fires_that_started'),
        ),
        migrations.AddIndex(
            model_name='fire',
            index=models.Index(condition=models.Q(('status', 'QUEUED')), fields=['schedule', 'fire_at'], name='fires_queued'),
        ),
        migrations.AddConstraint(
            model_name='fire',
            constraint=models.UniqueConstraint(fields=('schedule', 'fire_at'), name='a_time_is_fired_once'),
        ),
        migrations.AddConstraint(
            model_name='fire',
            constraint=models.UniqueConstraint(condition=models.Q(('execution_id__isnull', False)), fields=('execution_id',), name='an_execution_is_of_one_fire'),
        ),
        migrations.AddConstraint(
            model_name='fire',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['FIRED', 'QUEUED', 'SKIPPED', 'MISSED', 'FAILED'])), name='a_fire_has_a_known_status'),
        ),
        migrations.AddConstraint(
            model_name='fire',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('execution_id__isnull', False), ('status', 'FIRED')), models.Q(models.Q(('status', 'FIRED'), _negated=True), ('execution_id__isnull', True)), _connector='OR'), name='a_fire_has_its_execution'),
        ),
    ]
