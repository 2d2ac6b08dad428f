"""Let the database hold what must never break: links within one version, published versions frozen."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("graphs", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=(SQL / "0002_guard_versions.sql").read_text(encoding="utf-8"),
            reverse_sql=(SQL / "0002_guard_versions_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
