"""Dated prices of tokens, guarded once they are in force; indexes for reports of cost."""

from pathlib import Path

import agentplatform.lib.clock
import agentplatform.lib.ids
import django.contrib.postgres.indexes
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models


SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0004_ledger'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='TokenPrice',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('provider', models.CharField(max_length=64)),
                ('model', models.CharField(help_text='Its name, of any edition; with a * at the end, all models that begin so.', max_length=200)),
                ('input_microcredits', models.BigIntegerField(help_text='For a million tokens that a model is given.')),
                ('cached_microcredits', models.BigIntegerField(blank=True, help_text='For a million of these that the provider had kept; empty: like the others.', null=True)),
                ('output_microcredits', models.BigIntegerField(help_text='For a million tokens that a model makes.')),
                ('valid_from', models.DateTimeField()),
                ('note', models.CharField(blank=True, default='', help_text='Where it was read, and when.', max_length=200)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
            ],
            options={
                'db_table': 'executions_tokenprice',
                'ordering': ['provider', 'model', '-valid_from'],
            },
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(condition=models.Q(('kind__in', ['GRANT', 'TOP_UP', 'REFUND', 'ADJUSTMENT'])), fields=['owner', '-id'], name='ledger_moved_for_owner'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(condition=models.Q(('kind__in', ['SETTLE', 'EXCESS', 'WRITE_OFF'])), fields=['owner', 'created_at'], name='ledger_used_by_owner'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=django.contrib.postgres.indexes.BrinIndex(fields=['created_at'], name='ledger_entries_by_time'),
        ),
        migrations.AddConstraint(
            model_name='tokenprice',
            constraint=models.UniqueConstraint(fields=('provider', 'model', 'valid_from'), name='a_model_has_one_price_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='tokenprice',
            constraint=models.CheckConstraint(condition=models.Q(('input_microcredits__range', (0, 1000000000000)), ('output_microcredits__range', (0, 1000000000000)), ('cached_microcredits__gte', 0)), name='a_price_can_be_counted'),
        ),
        migrations.AddConstraint(
            model_name='tokenprice',
            constraint=models.CheckConstraint(condition=models.Q(('input_microcredits__gte', django.db.models.functions.comparison.Coalesce(models.F('cached_microcredits'), 0))), name='what_is_cached_costs_no_more'),
        ),
        migrations.RunSQL(
            sql=(SQL / "0005_guard_prices.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0005_guard_prices_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
