"""Addresses that are told what happens to executions and approvals: what each is told is written in one transaction with it."""

from pathlib import Path

import agentplatform.lib.clock
import agentplatform.lib.crypto
import agentplatform.lib.ids
import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0010_add_schedules'),
        ('graphs', '0005_add_allowed_hosts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Subscription',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('url', models.TextField()),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), blank=True, default=list, size=None)),
                ('secret', agentplatform.lib.crypto.SealedField(editable=False)),
                ('last4', models.CharField(blank=True, default='', editable=False, max_length=4)),
                ('previous_secret', agentplatform.lib.crypto.SealedField(blank=True, editable=False, null=True)),
                ('previous_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('is_enabled', models.BooleanField(default=True)),
                ('disabled_reason', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('disabled_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('failures', models.PositiveIntegerField(default=0, editable=False)),
                ('heard_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('changed_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('graph', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='subscriptions', to='graphs.graph')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='subscriptions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'executions_subscription',
            },
        ),
        migrations.CreateModel(
            name='OutgoingDelivery',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('event', models.CharField(max_length=64)),
                ('subject_id', models.UUIDField(editable=False)),
                ('execution_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('payload', models.JSONField(default=dict)),
                ('hops', models.PositiveSmallIntegerField(default=1)),
                ('status', models.CharField(choices=[('PENDING', 'pending'), ('DELIVERED', 'delivered'), ('FAILED', 'failed')], default='PENDING', max_length=16)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('next_at', models.DateTimeField(blank=True, null=True)),
                ('leased_until', models.DateTimeField(blank=True, null=True)),
                ('begun_at', models.DateTimeField(default=agentplatform.lib.clock.now)),
                ('status_code', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('error_code', models.CharField(blank=True, default='', max_length=64)),
                ('error_message', models.TextField(blank=True, default='')),
                ('answer', models.TextField(blank=True, default='')),
                ('log', models.JSONField(default=list)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('subscription', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='executions.subscription')),
            ],
            options={
                'verbose_name_plural': 'outgoing deliveries',
                'db_table': 'executions_outgoingdelivery',
            },
        ),
        migrations.AddIndex(
            model_name='subscription',
            index=models.Index(fields=['owner', '-id'], name='subscriptions_newest_of_owner'),
        ),
        migrations.AddIndex(
            model_name='subscription',
            index=models.Index(condition=models.Q(('is_enabled', True)), fields=['owner'], name='subscriptions_to_tell'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('previous_secret__isnull', True), ('previous_until__isnull', False), _connector='OR'), name='a_secret_signed_with_too_has_an_end'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('disabled_reason', ''), ('is_enabled', True)), models.Q(('is_enabled', False), models.Q(('disabled_reason', ''), _negated=True)), _connector='OR'), name='a_subscription_that_is_off_says_why'),
        ),
        migrations.AddIndex(
            model_name='outgoingdelivery',
            index=models.Index(fields=['subscription', '-id'], name='outgoing_newest_of_subscr'),
        ),
        migrations.AddIndex(
            model_name='outgoingdelivery',
            index=models.Index(condition=models.Q(('status', 'PENDING')), fields=['subscription', 'next_at'], name='outgoing_to_send'),
        ),
        migrations.AddIndex(
            model_name='outgoingdelivery',
            index=models.Index(condition=models.Q(('leased_until__isnull', False)), fields=['leased_until'], name='outgoing_under_way'),
        ),
        migrations.AddIndex(
            model_name='outgoingdelivery',
            index=models.Index(condition=models.Q(('execution_id__isnull', False)), fields=['execution_id'], name='outgoing_of_execution'),
        ),
        migrations.AddConstraint(
            model_name='outgoingdelivery',
            constraint=models.UniqueConstraint(fields=('subscription', 'subject_id', 'event'), name='an_event_is_told_to_each_once'),
        ),
        migrations.AddConstraint(
            model_name='outgoingdelivery',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['PENDING', 'DELIVERED', 'FAILED'])), name='an_outgoing_delivery_has_a_known_status'),
        ),
        migrations.AddConstraint(
            model_name='outgoingdelivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('next_at__isnull', False), ('status', 'PENDING')), models.Q(models.Q(('status', 'PENDING'), _negated=True), ('ended_at__isnull', False), ('next_at__isnull', True)), _connector='OR'), name='only_what_has_not_ended_is_sent'),
        ),
        migrations.RunSQL(
            sql=(SQL / "0011_tell_subscribers.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0011_tell_subscribers_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
