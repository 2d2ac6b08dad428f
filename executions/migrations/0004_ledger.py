"""Accounts, the ledger, what is held, and budgets."""

from pathlib import Path

import agentplatform.lib.clock
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0003_add_waits_and_retries'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='execution',
            name='api_key',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
        migrations.CreateModel(
            name='Account',
            fields=[
                ('id', models.BigIntegerField(editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('CREDIT', 'CREDIT'), ('HELD', 'HELD'), ('ISSUED', 'ISSUED'), ('REVENUE', 'REVENUE'), ('WRITTEN_OFF', 'WRITTEN_OFF')], editable=False, max_length=16)),
                ('balance_microcredits', models.BigIntegerField(default=0, editable=False)),
                ('overdraft_microcredits', models.BigIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('owner', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='accounts', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'executions_account',
            },
        ),
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('scope', models.CharField(choices=[('EXECUTION', 'EXECUTION'), ('GRAPH', 'GRAPH'), ('API_KEY', 'API_KEY'), ('OWNER', 'OWNER')], max_length=16)),
                ('scope_id', models.CharField(max_length=64)),
                ('period', models.CharField(choices=[('NONE', 'NONE'), ('DAY', 'DAY')], default='NONE', max_length=16)),
                ('limit_microcredits', models.BigIntegerField()),
                ('spent_microcredits', models.BigIntegerField(default=0, editable=False)),
                ('held_microcredits', models.BigIntegerField(default=0, editable=False)),
                ('spent_on', models.DateField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='budgets', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'executions_budget',
            },
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('fence', models.BigIntegerField(primary_key=True, serialize=False)),
                ('amount_microcredits', models.BigIntegerField()),
                ('budget_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('execution_id', models.UUIDField()),
                ('root_id', models.UUIDField()),
                ('graph_id', models.UUIDField()),
                ('node_key', models.CharField(max_length=64)),
                ('item_path', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, size=None)),
                ('attempt', models.PositiveSmallIntegerField()),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='holds', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'executions_hold',
            },
        ),
        migrations.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('GRANT', 'GRANT'), ('TOP_UP', 'TOP_UP'), ('HOLD', 'HOLD'), ('SETTLE', 'SETTLE'), ('RELEASE', 'RELEASE'), ('EXCESS', 'EXCESS'), ('WRITE_OFF', 'WRITE_OFF'), ('REFUND', 'REFUND'), ('ADJUSTMENT', 'ADJUSTMENT')], max_length=16)),
                ('amount_microcredits', models.BigIntegerField()),
                ('execution_id', models.UUIDField(blank=True, null=True)),
                ('root_id', models.UUIDField(blank=True, null=True)),
                ('graph_id', models.UUIDField(blank=True, null=True)),
                ('node_key', models.CharField(blank=True, default='', max_length=64)),
                ('item_path', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), blank=True, default=list, size=None)),
                ('attempt', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('fence', models.BigIntegerField(blank=True, null=True)),
                ('key', models.CharField(blank=True, default='', max_length=200)),
                ('note', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('by', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('credit', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='credits', to='executions.account')),
                ('debit', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='debits', to='executions.account')),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'ledger entries',
                'db_table': 'executions_ledgerentry',
            },
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.UniqueConstraint(fields=('owner', 'kind'), name='an_owner_has_one_account_of_a_kind'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ['CREDIT', 'HELD']), ('owner__isnull', False)), models.Q(('kind__in', ['ISSUED', 'REVENUE', 'WRITTEN_OFF']), ('owner__isnull', True)), _connector='OR'), name='an_account_is_an_owners_or_the_platforms'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'HELD'), _negated=True), ('balance_microcredits__gte', 0), _connector='OR'), name='less_than_nothing_is_never_held'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'CREDIT'), _negated=True), ('overdraft_microcredits__isnull', True), ('balance_microcredits__gte', django.db.models.expressions.CombinedExpression(models.F('overdraft_microcredits'), '*', models.Value(-1))), _connector='OR'), name='credit_stays_within_its_overdraft'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(('overdraft_microcredits__isnull', True), ('overdraft_microcredits__gte', 0), _connector='OR'), name='an_overdraft_is_nothing_or_more'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(('owner__isnull', False), ('balance_microcredits', 0), _connector='OR'), name='the_platforms_accounts_carry_no_balance'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.UniqueConstraint(fields=('scope', 'scope_id', 'period'), name='a_scope_has_one_budget_of_a_period'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('scope__in', ['EXECUTION', 'GRAPH', 'API_KEY', 'OWNER'])), name='a_budget_has_a_known_scope'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('period__in', ['NONE', 'DAY'])), name='a_budget_has_a_known_period'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('limit_microcredits__gte', 0)), name='a_budget_is_nothing_or_more'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('held_microcredits__gte', 0), ('spent_microcredits__gte', 0)), name='a_budget_counts_nothing_or_more'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.UniqueConstraint(fields=('execution_id', 'node_key', 'item_path'), name='a_firing_is_held_for_once'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(('amount_microcredits__gt', 0)), name='a_hold_holds_something'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['owner', '-id'], name='ledger_entries_of_owner'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['GRANT', 'TOP_UP', 'HOLD', 'SETTLE', 'RELEASE', 'EXCESS', 'WRITE_OFF', 'REFUND', 'ADJUSTMENT'])), name='an_entry_has_a_known_kind'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(('amount_microcredits__gt', 0)), name='an_entry_moves_something'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(('debit', models.F('credit')), _negated=True), name='an_entry_moves_from_one_account_to_another'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(condition=models.Q(('execution_id__isnull', False)), fields=('execution_id', 'fence', 'kind', 'node_key', 'item_path'), name='a_claim_is_charged_once_of_a_kind'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('owner', 'key'), name='a_key_moves_money_once'),
        ),
        migrations.RunSQL(
            sql=(SQL / "0004_append_only.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0004_append_only_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
