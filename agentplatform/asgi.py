"""The web's entry point: `uvicorn agentplatform.asgi:application`."""

from __future__ import annotations

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentplatform.settings")
django.setup(set_prefix=False)

from agentplatform import checks, web  # noqa: E402 - need the apps that the line above has loaded

checks.refuse_unsafe_start()
web.share_connections()
application = web.Web()
# What was loaded stays: to look through it again and again would take a sixteenth of the time of a request.
gc.freeze()
