"""Keys may be allowed to read and to write files."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0002_add_scopes_of_subscriptions'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apikey',
            name='scopes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('graphs:read', 'graphs:read'), ('graphs:write', 'graphs:write'), ('executions:read', 'executions:read'), ('executions:start', 'executions:start'), ('executions:control', 'executions:control'), ('approvals:read', 'approvals:read'), ('approvals:answer', 'approvals:answer'), ('events:send', 'events:send'), ('credentials:read', 'credentials:read'), ('credentials:write', 'credentials:write'), ('money:read', 'money:read'), ('money:write', 'money:write'), ('webhooks:read', 'webhooks:read'), ('webhooks:write', 'webhooks:write'), ('subscriptions:read', 'subscriptions:read'), ('subscriptions:write', 'subscriptions:write'), ('schedules:read', 'schedules:read'), ('schedules:write', 'schedules:write'), ('files:read', 'files:read'), ('files:write', 'files:write'), ('keys:read', 'keys:read'), ('keys:write', 'keys:write')], max_length=32), default=list, size=None),
        ),
    ]
