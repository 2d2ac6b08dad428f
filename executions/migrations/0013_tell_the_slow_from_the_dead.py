"""A worker that was only slow has its fence struck out of those that were lost with a firing."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0012_blame_whom_it_was'),
    ]

    operations = [
        migrations.AddField(
            model_name='nodeexecution',
            name='lost_fences',
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), editable=False, null=True, size=None
            ),
        ),
    ]
