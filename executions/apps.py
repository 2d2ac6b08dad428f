"""The executions app: what happens when a graph runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class ExecutionsConfig(AppConfig):
    """Register the app under its own name."""

    name = "executions"
    verbose_name = "Executions"

    def ready(self) -> None:
        """Make the installation's own blocks known before anything is validated or run."""
        from blocks import registry

        registry.load_extra(settings.AGENTPLATFORM_EXTRA_BLOCKS)
