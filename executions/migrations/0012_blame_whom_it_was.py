"""The end of a worker counts against what it had begun, and not against suspects that it had only claimed."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0011_tell_subscribers'),
    ]

    operations = [
        migrations.AddField(
            model_name='nodeexecution',
            name='is_to_blame',
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]
