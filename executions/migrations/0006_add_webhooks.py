"""Webhooks, and what came to them: each delivery once, each with at most one execution."""

import agentplatform.lib.clock
import agentplatform.lib.crypto
import agentplatform.lib.ids
import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0005_token_prices'),
        ('graphs', '0003_add_retry_timeout_facts_and_limit'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Webhook',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('scheme', models.CharField(choices=[('generic', 'generic'), ('standard-webhooks', 'standard-webhooks'), ('github', 'github'), ('stripe', 'stripe'), ('slack', 'slack')], max_length=32)),
                ('secret', agentplatform.lib.crypto.SealedField(editable=False)),
                ('last4', models.CharField(blank=True, default='', editable=False, max_length=4)),
                ('previous_secret', agentplatform.lib.crypto.SealedField(blank=True, editable=False, null=True)),
                ('previous_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), blank=True, default=list, size=None)),
                ('mapping', models.JSONField(blank=True, default=dict)),
                ('is_enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('changed_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('graph', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='webhooks', to='graphs.graph')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='webhooks', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'executions_webhook',
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('key', models.CharField(editable=False, max_length=200)),
                ('is_named', models.BooleanField(default=True, editable=False)),
                ('digest', models.CharField(editable=False, max_length=64)),
                ('event', models.CharField(blank=True, default='', max_length=200)),
                ('status', models.CharField(choices=[('ACCEPTED', 'accepted'), ('IGNORED', 'ignored'), ('REFUSED', 'refused')], max_length=16)),
                ('reason', models.CharField(blank=True, default='', max_length=64)),
                ('message', models.TextField(blank=True, default='')),
                ('execution_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('payload', models.JSONField(blank=True, null=True)),
                ('headers', models.JSONField(blank=True, default=dict)),
                ('size_bytes', models.PositiveIntegerField(default=0)),
                ('hops', models.PositiveSmallIntegerField(default=0)),
                ('received_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('replay_of', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='replays', to='executions.delivery')),
                ('webhook', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='executions.webhook')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'db_table': 'executions_delivery',
            },
        ),
        migrations.AddIndex(
            model_name='webhook',
            index=models.Index(fields=['owner', '-id'], name='webhooks_newest_of_owner'),
        ),
        migrations.AddConstraint(
            model_name='webhook',
            constraint=models.CheckConstraint(condition=models.Q(('scheme__in', ['generic', 'standard-webhooks', 'github', 'stripe', 'slack'])), name='a_webhook_has_a_known_scheme'),
        ),
        migrations.AddConstraint(
            model_name='webhook',
            constraint=models.CheckConstraint(condition=models.Q(('previous_secret__isnull', True), ('previous_until__isnull', False), _connector='OR'), name='a_secret_that_was_replaced_has_an_end'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['webhook', '-id'], name='deliveries_newest_of_webhook'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('webhook', 'key'), name='a_delivery_is_taken_once'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(condition=models.Q(('execution_id__isnull', False)), fields=('execution_id',), name='an_execution_is_of_one_delivery'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['ACCEPTED', 'IGNORED', 'REFUSED'])), name='a_delivery_has_a_known_status'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('execution_id__isnull', False), ('status', 'ACCEPTED')), models.Q(models.Q(('status', 'ACCEPTED'), _negated=True), ('execution_id__isnull', True)), _connector='OR'), name='an_accepted_delivery_has_its_execution'),
        ),
    ]
