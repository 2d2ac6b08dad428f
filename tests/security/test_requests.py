"""S19, S29-S31: what is sent to the API is what it says, can be stored and means one thing; else it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from executions.models import Execution
from tests.blocks import node
from tests.factories import make_key, make_published, make_user

pytestmark = pytest.mark.django_db

EXECUTIONS = "/api/v1/executions/"


@pytest.fixture
def version():
    return make_published([node("name", "test.input", name="name")])


@pytest.fixture
def client(version) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(version.graph.owner)}"})


def send(client: APIClient, body: bytes, content_type: str = "application/json") -> Any:
    return client.post(EXECUTIONS, body, content_type=content_type)


def starting(version: Any, name: bytes) -> bytes:
    return b'{"version": "%s", "inputs": {"name": %s}}' % (str(version.pk).encode(), name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"[" * 10_000 + b"]" * 10_000, ""),
        (b"[" * 10_000, ""),
        (b"1" * 100_000, ""),
        (b"1e999", "inputs.name"),
        (b"NaN", ""),
        (b"-Infinity", ""),
        (b'{"a": 1, "a": 2}', ""),
        (b'"\\ud800"', "inputs.name"),
        (b'{"\\udfff": 1}', "inputs.name"),
        (b'"\\u0000"', "inputs.name"),
        (b'["x", "a\\u0000b"]', "inputs.name[1]"),
        (b'"\xff\xfe"', ""),
        (b'"\x01"', ""),
        (b"", ""),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_json_that_can_not_be_kept_is_refused(client, version, name, path):
    answer = send(client, starting(version, name))

    assert (answer.status_code, answer.data["code"]) == (400, "REQUEST_JSON_INVALID")
    assert answer.data.get("path", "") == path
    assert answer["Content-Type"] == "application/problem+json"
    assert not Execution.objects.exists()


def test_more_entries_than_anybody_means_are_refused(client, version):
    many = b"{" + b",".join(b'"%d":0' % number for number in range(250_001)) + b"}"

    assert send(client, starting(version, many)).status_code == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/xml",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/x-pickle",
    ],
)
def test_what_is_declared_as_something_else_is_not_read(client, version, content_type):
    answer = send(client, starting(version, b'"Ada"'), content_type)

    assert answer.status_code == 415
    assert not Execution.objects.exists()


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8"])
def test_json_is_read(client, version, content_type):
    answer = send(client, starting(version, '"J\u00fcrgen \U0001f642"'.encode()), content_type)

    assert (answer.status_code, answer.data["inputs"]) == (202, {"name": "J\u00fcrgen \U0001f642"})


@pytest.mark.parametrize("field", ["owner", "status", "id", "created_at", "cost", "graph_name", "retried_from"])
def test_s14_nobody_sets_what_is_not_theirs_to_set(client, version, field):
    asked = {"version": str(version.pk), "inputs": {"name": "x"}, field: make_user().pk}

    answer = client.post(EXECUTIONS, asked, format="json")

    assert answer.status_code == 400
    assert [(one["path"], one["code"]) for one in answer.data["errors"]] == [(field, "UNKNOWN")]
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("path", "asked", "wrong"),
    [
        ("executions", {"graph": 5}, "graph"),
        ("webhooks", {"name": 5}, "name"),
        ("webhooks", {"mapping": {"name": 5}}, "mapping.name"),
        ("schedules", {"timezone": 5}, "timezone"),
        ("schedules", {"cron": 5.5}, "cron"),
        ("subscriptions", {"url": 5}, "url"),
        ("subscriptions", {"events": [5]}, "events.0"),
        ("credentials", {"name": 5}, "name"),
        ("credentials", {"allowed_hosts": [5]}, "allowed_hosts.0"),
        ("budgets", {"scope_id": 5}, "scope_id"),
        ("budgets", {"graph": "x"}, "graph"),
        ("api-keys", {"expires": "2027-01-01"}, "expires"),
        ("events", {"name": 5}, "name"),
    ],
)
def test_a_number_is_no_text_and_a_slip_is_no_field(client, path, asked, wrong):
    answer = client.post(f"/api/v1/{path}/", asked, format="json")

    assert answer.status_code == 400
    assert wrong in [one["path"] for one in answer.data["errors"]]


@pytest.mark.parametrize("path", ["schedules", "webhooks", "subscriptions", "credentials"])
def test_what_was_shown_may_be_sent_back(client, version, path):
    kinds = {
        "schedules": {"graph": str(version.graph_id), "kind": "interval", "every_s": 3600, "inputs": {"name": "x"}},
        "webhooks": {"graph": str(version.graph_id)},
        "subscriptions": {"url": "https://example.com/hook"},
        "credentials": {"provider": "openai", "kind": "api_key", "secret": {"api_key": "sk-abcdefghijklmnop"}},
    }
    made = client.post(f"/api/v1/{path}/", {"name": "a", **kinds[path]}, format="json").data
    shown = client.get(f"/api/v1/{path}/{made['id']}/").data

    answer = client.patch(f"/api/v1/{path}/{made['id']}/", {**shown, "name": "b"}, format="json")

    assert (answer.status_code, answer.data.get("name")) == (200, "b")


def test_who_leaves_out_the_slash_is_led_to_it_with_what_they_send(client):
    answer = client.post(EXECUTIONS.rstrip("/"), {}, format="json")

    assert (answer.status_code, answer["Location"]) == (308, EXECUTIONS)
    assert b"ends with a slash" in answer.content


def test_a_form_with_far_too_many_fields_takes_one_line_of_the_log(client, caplog):
    answer = client.post("/api/v1/files/", {f"field{number}": "x" for number in range(1100)}, format="multipart")

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert "fields" in answer.json()["message"]
    (line,) = [record for record in caplog.records if record.name == "django.security.TooManyFieldsSent"]
    assert line.exc_info is None


def test_a_cursor_that_nobody_gave_says_how_to_begin_again(client):
    answer = client.get(EXECUTIONS + "?cursor=zz")

    assert answer.status_code == 404
    assert "begin again" in answer.data["message"]


def test_s14_only_declared_inputs_are_taken(client, version):
    asked = {"version": str(version.pk), "inputs": {"name": "x", "credentials": "y"}}

    answer = client.post(EXECUTIONS, asked, format="json")

    assert answer.status_code == 422
    assert not Execution.objects.exists()


@pytest.mark.parametrize("query", ["?name=%00", "?cursor=%00", "?graph=%00", "?page_size=1%00", "?status=%ff"])
def test_s31_nul_in_an_address_is_no_accident_of_ours(client, query):
    for path in (EXECUTIONS, "/api/v1/graphs/"):
        assert client.get(path + query).status_code in (200, 400)


def test_s22_a_session_needs_the_token_against_cross_site_requests(version):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(version.graph.owner)

    answer = browser.post(EXECUTIONS, {"version": str(version.pk)}, format="json")

    assert (answer.status_code, answer.data["code"]) == (403, "PERMISSION_DENIED")


def test_s23_no_other_origin_may_read_answers(client):
    answer = client.get(EXECUTIONS, headers={"Origin": "https://evil.example"})

    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("path", ["/api/v1/me/", "/admin/", "/webhooks/x"])
def test_who_comes_by_another_name_is_told_what_to_do_and_takes_one_line_of_the_log(path, caplog):
    answer = APIClient().get(path, headers={"Host": "elsewhere.example"})

    assert (answer.status_code, b"AGENTPLATFORM_ALLOWED_HOSTS" in answer.content) == (400, True)
    (line,) = [record for record in caplog.records if record.name == "django.security.DisallowedHost"]
    assert "elsewhere.example" in line.message
    assert line.exc_info is None
