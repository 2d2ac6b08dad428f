"""The app of who may ask the API."""

from __future__ import annotations

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """API keys and what they open."""

    name = "access"
    default_auto_field = "django.db.models.BigAutoField"
