"""Let a graph say which hosts its blocks may ask."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("graphs", "0004_name_credentials")]

    operations = [
        migrations.AddField(
            model_name="graphversion",
            name="allowed_hosts",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=300), blank=True, null=True, size=None
            ),
        )
    ]
