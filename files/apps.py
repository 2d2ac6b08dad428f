"""The app of files: what people upload, and what executions write."""

from __future__ import annotations

from django.apps import AppConfig


class FilesConfig(AppConfig):
    """Files and their content."""

    name = "files"
    default_auto_field = "django.db.models.BigAutoField"
