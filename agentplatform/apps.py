"""Wires what Django starts for us: the Celery app and our system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class AgentplatformConfig(AppConfig):
    """The project itself, as an app: templates, checks, the Celery app."""

    name = "agentplatform"

    def ready(self) -> None:
        """Register the checks, and make our Celery app the one that tasks are sent through."""
        from agentplatform import celery, checks  # noqa: F401

        if settings.SENTRY_DSN:
            from agentplatform import reporting  # slow to import, and for those only who want it

            reporting.start(settings.SENTRY_DSN, environment=settings.AGENTPLATFORM_ENV)
