"""Webhooks may name an event: what is delivered is given to those who wait for it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0008_add_start_keys'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='delivery',
            name='a_delivery_has_a_known_status',
        ),
        migrations.AddField(
            model_name='webhook',
            name='event_name',
            field=models.CharField(blank=True, db_default='', default='', help_text='Who waits for this event is given what comes; only if nobody does, the graph is started.', max_length=200),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='status',
            field=models.CharField(choices=[('ACCEPTED', 'accepted'), ('ANSWERED', 'answered'), ('IGNORED', 'ignored'), ('REFUSED', 'refused')], max_length=16),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['ACCEPTED', 'ANSWERED', 'IGNORED', 'REFUSED'])), name='a_delivery_has_a_known_status'),
        ),
    ]
