"""The graphs app: what users draw."""

from __future__ import annotations

from django.apps import AppConfig


class GraphsConfig(AppConfig):
    """Register the app under its own name."""

    name = "graphs"
    verbose_name = "Graphs"

    def ready(self) -> None:
        """Have the nodes found that use a credential."""
        from graphs import named
        from integrations import uses

        uses.register(named.uses_of)
