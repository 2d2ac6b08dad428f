"""Keep what people allow credentials of the kind oauth2."""

import django.db.models.deletion
from django.db import migrations, models

import agentplatform.lib.clock
import agentplatform.lib.crypto
import agentplatform.lib.ids


class Migration(migrations.Migration):
    dependencies = [("integrations", "0001_add_credentials")]

    operations = [
        migrations.CreateModel(
            name="Grant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tokens", agentplatform.lib.crypto.SealedField(editable=False)),
                ("expires_at", models.DateTimeField(null=True)),
                ("fresh_until", models.DateTimeField(null=True)),
                ("generation", models.PositiveIntegerField(default=1)),
                ("is_rotating", models.BooleanField(null=True)),
                ("refreshing_until", models.DateTimeField(null=True)),
                ("failure", models.CharField(blank=True, default="", max_length=300)),
                ("connected_at", models.DateTimeField(default=agentplatform.lib.clock.now)),
                (
                    "credential",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="grant",
                        to="integrations.credential",
                    ),
                ),
            ],
            options={"db_table": "integrations_grant"},
        )
    ]
