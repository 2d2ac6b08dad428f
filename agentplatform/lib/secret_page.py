"""The page on which a new secret is shown, once: the answer to what has made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


def show_secrets(
    window: ModelAdmin[Any],
    request: HttpRequest,
    *,
    title: str,
    page: str,
    explanation: str,
    secrets: Sequence[tuple[str, str]],
    address: str = "",
) -> HttpResponse:
    """Return the page with secrets, each under its title; `page` is where to go on, and what is loaded again in its place.

    Not a message: those are kept in a cookie, or in the session, until they are shown.
    """
    context = {
        **window.admin_site.each_context(request),
        "title": title,
        "opts": window.opts,
        "page": page,
        "explanation": explanation,
        "address": address,
        "secrets": secrets,
    }
    response = TemplateResponse(request, "admin/secret.html", context)
    response["Cache-Control"] = "no-store"
    return response
