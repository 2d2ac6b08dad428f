"""The executions app: what happens when a graph runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class ExecutionsConfig(AppConfig):
    """Register the app under its own name."""

    name = "executions"
    verbose_name = "Executions"

    def ready(self) -> None:
        """Make the installation's own blocks known, and what they may reach, before anything is validated or run."""
        from agentplatform.lib import http
        from blocks import registry

        http.configure(allowed_private=settings.AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS)
        registry.load_extra(settings.AGENTPLATFORM_EXTRA_BLOCKS)
