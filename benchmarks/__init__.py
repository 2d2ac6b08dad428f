"""Ratios measured in one run: the engine, a hand-written Celery app and a durable floor, in turn."""
