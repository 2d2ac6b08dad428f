"""What all API doors share: how an error looks, and how a list is paged."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any, ClassVar

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.routers import APIRootView
from rest_framework.views import exception_handler

from access.scopes import ANY_KEY
from agentplatform.lib.errors import AppError
from agentplatform.lib.paging import PagesById

PROBLEM_JSON = "application/problem+json"


class Root(APIRootView):
    """The addresses of the lists there are."""

    scopes: ClassVar = {"read": ANY_KEY}


class NewestFirst(PagesById):
    """Pages by id, newest first."""

    ordering = "-id"


class RequestTooLarge(exceptions.APIException):
    """The request is larger than this installation takes."""

    status_code = 413
    default_detail = "The request is larger than this installation takes."
    default_code = "request_too_large"


class DatabaseUnavailable(exceptions.APIException):
    """The database does not answer, or asks to try again."""

    status_code = 503
    default_detail = "The database does not answer just now."
    default_code = "database_unavailable"
    #: Seconds, for the header Retry-After.
    wait = 5


def answer_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn any foreseen error into problem+json: a stable code, a message, a hint, and where it is."""
    if isinstance(error, AppError):
        problem = {**error.as_dict(), **error.facts, **_several(error)}
        wait_s = getattr(error, "retry_after_s", None)
        headers = {"Retry-After": str(ceil(wait_s))} if wait_s else None
        return _problem(status=error.status, body=problem, headers=headers)
    if isinstance(error, RequestDataTooBig):
        error = RequestTooLarge()
    elif isinstance(error, OperationalError | InterfaceError):
        error = DatabaseUnavailable()
    elif isinstance(error, ObjectDoesNotExist) or type(error) is DatabaseError:
        # Somebody has removed it since it was looked up: Django says so by its bare error where it saves what is not there.
        error = exceptions.NotFound()
    response = exception_handler(error, context)  # also rolls back, and sets WWW-Authenticate and Retry-After
    if response is None:
        return None
    body = _describe(error, response)
    headers = {name: response[name] for name in ("WWW-Authenticate", "Retry-After") if response.has_header(name)}
    return _problem(status=response.status_code, body=body, headers=headers)


def _describe(error: Exception, response: Response) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flatten(error.get_full_details(), path=""))
        return {
            "code": "INVALID_REQUEST",
            "message": errors[0]["message"] if len(errors) == 1 else f"{len(errors)} fields are not valid.",
            "hint": "Correct what `errors` lists and send the request again.",
            "errors": errors,
        }
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    detail = getattr(error, "detail", "")
    code = getattr(detail, "code", None) or "error"
    return {"code": str(code).upper(), "message": str(detail), "hint": HINTS.get(response.status_code, "")}


HINTS = {
    400: "Send a body that is what its `Content-Type` says.",
    401: "Send the header `Authorization: Bearer <your API key>`.",
    403: "Ask an administrator for the permission.",
    404: "It does not exist, or it belongs to somebody else.",
    405: "The address is right, the method is not: see /api/docs/.",
    406: "Leave out the header `Accept`, or take `application/json`.",
    413: "Send less at once; the operator sets the limit with AGENTPLATFORM_MAX_OUTPUT_BYTES.",
    415: "Send JSON, with the header `Content-Type: application/json`; a file as `multipart/form-data`.",
    429: "Wait for as long as the header Retry-After says.",
    503: "Wait for as long as the header Retry-After says, and look whether it took effect before you send it again.",
}


def _several(error: AppError) -> dict[str, Any]:
    """Return the `errors` of one that stands for several, such as a graph with five problems, or that has the path of a field."""
    errors = getattr(error, "errors", None)
    if not errors and error.path:
        errors = [{"path": error.path, "code": error.code, "message": error.message}]
    return {"errors": errors} if errors else {}


def _flatten(details: Any, *, path: str) -> Iterator[dict[str, str]]:
    """Yield one flat entry for each leaf of DRF's nested error details."""
    if isinstance(details, dict) and set(details) == {"message", "code"} and isinstance(details["code"], str):
        yield {"path": path, "code": str(details["code"]).upper(), "message": str(details["message"])}
    elif isinstance(details, dict):
        for key, value in details.items():
            yield from _flatten(value, path=path if key == "non_field_errors" else f"{path}.{key}".lstrip("."))
    else:
        for index, value in enumerate(details):
            is_leaf = isinstance(value, dict) and set(value) == {"message", "code"}
            yield from _flatten(value, path=path if is_leaf else f"{path}.{index}".lstrip("."))


def _problem(*, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    problem = {"type": "about:blank", "title": body["message"], "status": status, **body}
    return Response(problem, status=status, headers=headers, content_type=PROBLEM_JSON)
