"""The web's entry point: `uvicorn agentplatform.asgi:application`."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentplatform.settings")
application = get_asgi_application()

from agentplatform import checks  # noqa: E402 - needs the apps that the line above has loaded

checks.refuse_unsafe_start()
