"""The page on which the API is described and tried out."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponseRedirect
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAuthenticated
from rest_framework.response import Response


class Docs(SpectacularSwaggerSplitView):
    """Shows the description of the API to whoever may ask it."""

    def handle_exception(self, exc: Exception) -> Response | HttpResponseRedirect:  # type: ignore[override]
        """Let whoever opens it in a browser log in first; a key that is not good is refused."""
        if isinstance(exc, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(exc)
