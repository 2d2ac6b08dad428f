"""Settings of a worker that takes messages at one broker and sends to another, so that a test can stand between."""

from __future__ import annotations

import os

from agentplatform.settings import *  # noqa: F403 - all else is as it is

CELERY_BROKER_WRITE_URL = os.environ["BROKER_WRITE_URL"]
