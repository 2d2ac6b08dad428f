"""The graphs app: what users draw."""

from __future__ import annotations

from django.apps import AppConfig


class GraphsConfig(AppConfig):
    """Register the app under its own name."""

    name = "graphs"
    verbose_name = "Graphs"
