"""What is answered where no view is: problem+json below the API, a page elsewhere."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase, JsonResponse
from django.views import defaults


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for an address that is none."""
    if request.path.startswith("/webhooks/"):
        return _problem(404, "NOT_FOUND", "There is nothing at this address.", "Send to the `url` as it was given.")
    if not request.path.startswith("/api/"):
        return defaults.page_not_found(request, exception)
    return _problem(
        404, "NOT_FOUND", "There is nothing at this address.", "See /api/docs/ for the addresses there are."
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for a request that could not be read."""
    is_page = not request.path.startswith(("/api/", "/webhooks/"))
    if isinstance(exception, DisallowedHost):
        message, hint = (
            "Nothing here answers to this name.",
            "The operator lists the names in AGENTPLATFORM_ALLOWED_HOSTS.",
        )
        if is_page:
            return HttpResponseBadRequest(f"{message} {hint}\n", content_type="text/plain; charset=utf-8")
        return _problem(400, "BAD_REQUEST", message, hint)
    if is_page:
        return defaults.bad_request(request, exception)
    if isinstance(exception, TooManyFieldsSent | TooManyFilesSent):
        return _problem(
            400, "BAD_REQUEST", "The form has far too many fields.", "Send the fields that there are, each once."
        )
    return _problem(400, "BAD_REQUEST", "The request can not be read.", "Check its address and its headers.")


def failed(request: HttpRequest) -> HttpResponseBase:
    """Answer for a fault of ours; the log has the traceback, by the name of the request."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    return _problem(500, "INTERNAL_ERROR", "This is our fault.", "Tell the operator the X-Request-ID of this answer.")


def _problem(status: int, code: str, message: str, hint: str) -> JsonResponse:
    body = {"type": "about:blank", "title": message, "status": status, "code": code, "message": message, "hint": hint}
    return JsonResponse(body, status=status, content_type="application/problem+json")
