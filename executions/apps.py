"""The executions app: what happens when a graph runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


class ExecutionsConfig(AppConfig):
    """Register the app under its own name."""

    name = "executions"
    verbose_name = "Executions"

    def ready(self) -> None:
        """Make the installation's own blocks known, and what they may reach, before anything is validated or run."""
        from agentplatform.lib import http
        from blocks import registry
        from executions import file_uses
        from executions.published_prices import write_published
        from files import uses
        from integrations import turns

        uses.register(file_uses.who_needs)
        turns.configure(redis_url=settings.REDIS_URL)
        http.configure(allowed_private=settings.AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS)
        registry.load_extra(settings.AGENTPLATFORM_EXTRA_BLOCKS)
        post_migrate.connect(write_published, sender=self, dispatch_uid="published_prices")
