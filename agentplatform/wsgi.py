"""The entry point for servers without ASGI: nothing but live updates is lost."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentplatform.settings")
application = get_wsgi_application()

from agentplatform import checks  # noqa: E402 - needs the apps that the line above has loaded

checks.refuse_unsafe_start()
