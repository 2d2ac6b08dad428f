"""Let a credential say how many may use it at once, and how often."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("integrations", "0002_add_grants")]

    operations = [
        migrations.AddField("credential", "max_concurrent", models.PositiveIntegerField(blank=True, null=True)),
        migrations.AddField("credential", "rate_per_second", models.FloatField(blank=True, null=True)),
        migrations.AddConstraint(
            "credential",
            models.CheckConstraint(
                condition=Q(max_concurrent__isnull=True) | Q(max_concurrent__range=(1, 10_000)),
                name="a_credential_is_used_by_one_or_more_at_once",
            ),
        ),
        migrations.AddConstraint(
            "credential",
            models.CheckConstraint(
                condition=Q(rate_per_second__isnull=True) | Q(rate_per_second__range=(0.00001, 100_000)),
                name="a_credential_is_sent_now_and_then_at_least",
            ),
        ),
    ]
