"""Wires what Django starts for us: the Celery app and our system checks."""

from __future__ import annotations

from django.apps import AppConfig


class AgentplatformConfig(AppConfig):
    """The project itself, as an app: templates, checks, the Celery app."""

    name = "agentplatform"

    def ready(self) -> None:
        """Register the checks, and make our Celery app the one that tasks are sent through."""
        from agentplatform import celery, checks  # noqa: F401
