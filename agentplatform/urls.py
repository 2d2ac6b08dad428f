"""Every address of the web."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import DefaultRouter

from access.api import router as access_router
from agentplatform import console, health
from agentplatform.api import Root
from agentplatform.docs import Docs
from executions.api.bulk import router as bulk_router
from executions.api.executions import router as executions_router
from executions.api.explain import router as explain_router
from executions.api.live import router as live_router
from executions.api.money import router as money_router
from executions.api.schedules import router as schedules_router
from executions.api.subscriptions import router as subscriptions_router
from executions.api.trials import router as trials_router
from executions.api.waits import router as waits_router
from executions.api.webhooks import router as webhooks_router
from executions.views import receive_webhook
from files.api import router as files_router
from graphs.api import router as graphs_router
from integrations.api import router as credentials_router
from integrations.views import come_back

api = DefaultRouter()
api.APIRootView = Root
api.registry.extend(access_router.registry)
api.registry.extend(graphs_router.registry)
# Before the single ones, which would take its name for an id.
api.registry.extend(bulk_router.registry)
api.registry.extend(executions_router.registry)
api.registry.extend(explain_router.registry)
api.registry.extend(trials_router.registry)
api.registry.extend(live_router.registry)
api.registry.extend(waits_router.registry)
api.registry.extend(money_router.registry)
api.registry.extend(webhooks_router.registry)
api.registry.extend(subscriptions_router.registry)
api.registry.extend(schedules_router.registry)
api.registry.extend(credentials_router.registry)
api.registry.extend(files_router.registry)

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("favicon.ico", console.send_icon),
    path("api/v1/", include(api.urls)),
    path("api/schema/", SpectacularAPIView.as_view(api_version="1"), name="schema"),
    path("api/docs/", Docs.as_view(url_name="schema"), name="docs"),
    path("webhooks/<uuid:webhook_id>", receive_webhook, name="webhook"),
    path("oauth/callback", come_back, name="oauth-callback"),
    path("healthz", health.alive),
    path("readyz", health.ready),
]
handler400 = "agentplatform.refusals.bad_request"
handler404 = "agentplatform.refusals.not_found"
handler500 = "agentplatform.refusals.failed"
