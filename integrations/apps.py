"""The app of what the platform uses others with."""

from __future__ import annotations

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Credentials and providers."""

    name = "integrations"
    default_auto_field = "django.db.models.BigAutoField"
