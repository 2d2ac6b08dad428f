"""Files of owners, with their content beside them in chunks."""

import agentplatform.lib.clock
import agentplatform.lib.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='File',
            fields=[
                ('id', models.UUIDField(default=agentplatform.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=255)),
                ('content_type', models.CharField(max_length=100)),
                ('size', models.BigIntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('execution_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('key', models.CharField(blank=True, default='', editable=False, max_length=300)),
                ('fence', models.BigIntegerField(default=0, editable=False)),
                ('created_at', models.DateTimeField(default=agentplatform.lib.clock.now, editable=False)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='files', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'files_file',
            },
        ),
        migrations.CreateModel(
            name='FileChunk',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('content', models.BinaryField()),
                ('file', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='files.file')),
            ],
            options={
                'db_table': 'files_chunk',
            },
        ),
        migrations.AddIndex(
            model_name='file',
            index=models.Index(fields=['owner', '-id'], name='files_newest_of_owner'),
        ),
        migrations.AddIndex(
            model_name='file',
            index=models.Index(condition=models.Q(('expires_at__isnull', False)), fields=['expires_at'], name='files_that_expire'),
        ),
        migrations.AddIndex(
            model_name='file',
            index=models.Index(condition=models.Q(('execution_id__isnull', False)), fields=['execution_id'], name='files_of_an_execution'),
        ),
        migrations.AddConstraint(
            model_name='file',
            constraint=models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('owner', 'key'), name='a_firing_writes_a_file_once'),
        ),
        migrations.AddConstraint(
            model_name='file',
            constraint=models.CheckConstraint(condition=models.Q(('size__gte', 0)), name='a_file_has_a_size'),
        ),
        migrations.AddConstraint(
            model_name='filechunk',
            constraint=models.UniqueConstraint(fields=('file', 'number'), name='a_chunk_has_its_place'),
        ),
        # Out of line and uncompressed, as all large values are: most files are compressed already.
        migrations.RunSQL(
            sql="ALTER TABLE files_chunk ALTER COLUMN content SET STORAGE EXTERNAL",
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
