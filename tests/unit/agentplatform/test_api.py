"""How errors look to a caller of the API."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions

from agentplatform.api import answer_problem
from agentplatform.lib.errors import AppError


class TeapotIsFull(AppError):
    """The teapot is full."""

    code = "TEAPOT_IS_FULL"
    status = 409
    hint = "Pour some tea first."


def answer(error):
    return answer_problem(error, {})


def test_our_error_keeps_its_code_hint_and_path():
    response = answer(TeapotIsFull(path="pot.level"))

    assert response.status_code == 409
    assert response.content_type == "application/problem+json"
    assert response.data == {
        "type": "about:blank",
        "title": "The teapot is full.",
        "status": 409,
        "code": "TEAPOT_IS_FULL",
        "message": "The teapot is full.",
        "hint": "Pour some tea first.",
        "path": "pot.level",
        "errors": [{"path": "pot.level", "code": "TEAPOT_IS_FULL", "message": "The teapot is full."}],
    }


def test_an_error_that_stands_for_several_lists_them():
    error = TeapotIsFull()
    error.errors = [{"code": "A", "path": "x", "message": "y"}]

    assert answer(error).data["errors"] == error.errors


def test_a_wrong_request_lists_each_field_by_path():
    wrong = exceptions.ValidationError({"nodes": [{}, {"name": ["Too long."]}], "non_field_errors": ["No."]})

    response = answer(wrong)

    assert response.status_code == 400
    assert response.data["code"] == "INVALID_REQUEST"
    assert response.data["errors"] == [
        {"path": "nodes.1.name", "code": "INVALID", "message": "Too long."},
        {"path": "", "code": "INVALID", "message": "No."},
    ]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (exceptions.ParseError(), 400, "PARSE_ERROR"),
        (exceptions.NotAcceptable(), 406, "NOT_ACCEPTABLE"),
        (exceptions.NotAuthenticated(), 401, "NOT_AUTHENTICATED"),
        (exceptions.AuthenticationFailed(), 401, "AUTHENTICATION_FAILED"),
        (PermissionDenied(), 403, "PERMISSION_DENIED"),
        (Http404(), 404, "NOT_FOUND"),
        (exceptions.MethodNotAllowed("PUT"), 405, "METHOD_NOT_ALLOWED"),
        (exceptions.Throttled(wait=7), 429, "THROTTLED"),
    ],
)
def test_a_common_error_has_a_code_and_a_hint(error, status, code):
    response = answer(error)

    assert (response.status_code, response.data["code"]) == (status, code)
    assert response.data["hint"]


def test_a_throttled_caller_is_told_when_to_come_back():
    assert answer(exceptions.Throttled(wait=7))["Retry-After"] == "7"


def test_an_unforeseen_error_is_not_dressed_up():
    assert answer(RuntimeError("a bug")) is None
