"""What subscribers are told has the order in which it happened, within a millisecond too."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0013_tell_the_slow_from_the_dead'),
    ]

    operations = [
        migrations.RunSQL(
            sql=(SQL / "0014_order_within_a_millisecond.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0014_order_within_a_millisecond_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
