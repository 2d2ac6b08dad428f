"""S39: each role at each address of the console, with each method, and each scope at each address of the API. What is new fails closed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.sites import site
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from access.scopes import ANY_KEY, Scope, scope_of
from tests.console import PAGES, address, make_rows
from tests.factories import make_key, make_user
from tests.security.test_tenants import ASKED, UNKNOWN, path_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

OURS = ("access", "executions", "files", "graphs", "integrations")
VIEWS = [f"{app}.view_{model._meta.model_name}" for app in OURS for model in apps.get_app_config(app).get_models()]
TRIGGERS = ("schedule", "webhook", "subscription")
#: Roles as docs/console.md has them: what each may, as permissions. Nobody has one by default.
ROLES: dict[str, list[str] | None] = {
    "user": None,
    "staff": [],
    "viewer": VIEWS,
    "operator": [*VIEWS, "executions.change_execution", "executions.change_wait"],
    "editor": [
        *VIEWS,
        *[f"executions.{verb}_{model}" for verb in ("add", "change", "delete") for model in TRIGGERS],
        "graphs.change_graph",
    ],
    "accountant": [
        *VIEWS,
        *[f"executions.{verb}_{model}" for verb in ("add", "change", "delete") for model in ("budget", "tokenprice")],
        "executions.change_account",
    ],
    "keeper": [
        *VIEWS,
        *[f"integrations.{verb}_credential" for verb in ("add", "change", "delete")],
        *[f"access.{verb}_apikey" for verb in ("add", "change")],
    ],
}
#: Addresses for whoever is staff; what they show there depends on them.
OF_STAFF = {"index", "search", "logout", "password_change", "password_change_done", "jsi18n", "app_list"}
#: What is beside the usual pages of a model, and which permission it takes.
BESIDE = {
    "executions_execution_do": "executions.change_execution",
    "executions_execution_retry": "executions.change_execution",
    "executions_schedule_do": "executions.change_schedule",
    "executions_webhook_rotate": "executions.change_webhook",
    "executions_delivery_replay": "executions.change_webhook",
    "executions_subscription_do": "executions.change_subscription",
    "executions_subscription_rotate": "executions.change_subscription",
    "executions_outgoingdelivery_resend": "executions.change_subscription",
    "executions_ledgerentry_export_csv": "executions.view_ledgerentry",
    "files_file_content": "files.view_file",
    "integrations_credential_connect": "integrations.change_credential",
    "integrations_credential_test": "integrations.change_credential",
    "integrations_credential_revoke": "integrations.change_credential",
    "auth_user_password_change": "auth.change_user",
}
#: What staff are asked themselves they see without a permission: tests/integration/executions/test_admin_waits.py has the rest.
OF_WHOM_IT_CONCERNS = {
    "executions_wait_changelist",
    "executions_wait_change",
    "executions_wait_history",
    "executions_wait_answer",
}


#: With the permission too: what is only sent is not looked at, and not each page has something to send.
MAY_BE = {(405, "get"), (403, "post"), (404, "post")}
#: A price that was used is never removed.
NOBODYS = {"executions_tokenprice_delete"}


def needed(name: str, method: str) -> str | None:
    """Return the permission that a page takes; None: no page of a model, or for whom it concerns."""
    if name in BESIDE:
        return BESIDE[name]
    found = re.fullmatch(r"([a-z]+)_([a-z]+)_(changelist|add|history|delete|change)", name)
    assert found, f"Say in BESIDE which permission {name} takes."
    app, model, what = found.groups()
    verb = {"add": "add", "delete": "delete", "change": "change" if method == "post" else "view"}.get(what, "view")
    return f"{app}.{verb}_{model}"


@pytest.fixture
def rows() -> dict[str, Any]:
    return make_rows()


@pytest.fixture(params=[pytest.param(name, marks=[] if name == "viewer" else pytest.mark.slow) for name in ROLES])
def role(request: pytest.FixtureRequest) -> Any:
    """Somebody of each role, logged in."""
    permissions = ROLES[request.param]
    user = make_user()
    user.is_staff = permissions is not None
    user.save()
    for one in permissions or []:
        app, codename = one.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def console_of(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.mark.parametrize("method", ["get", "post"])
def test_each_role_gets_as_far_as_its_permissions(role, rows, method):
    client, wrong, before = console_of(role), {}, snapshot(rows)

    for at, name in PAGES:
        if not name or name in OF_STAFF | OF_WHOM_IT_CONCERNS | {"login", "autocomplete", "view_on_site"}:
            continue
        answer = getattr(client, method)(address(at, rows))
        permission = needed(name, method)
        if not role.is_staff:
            is_right = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
        elif role.has_perm(permission):
            is_right = answer.status_code < 400 or (answer.status_code, method) in MAY_BE or name in NOBODYS
        else:
            is_right = answer.status_code in (403, 405)
        if not is_right:
            wrong[f"{method} {name}"] = (answer.status_code, permission)

    assert wrong == {}
    assert role.get_all_permissions() > set(VIEWS) or snapshot(rows) == before


def snapshot(rows: dict[str, Any]) -> dict[str, Any]:
    """Return all that is stored of what there are pages for."""
    models = [model for model in site._registry if model._meta.model_name in rows or model._meta.app_label in OURS]
    left_out = {"last_login", "is_staff"}
    return {
        model.__name__: sorted(
            str({name: value for name, value in row.items() if name not in left_out})
            for row in model._default_manager.values()
        )
        for model in models
    }


@pytest.mark.parametrize("at", ["/admin/", "/admin/search/?s=needle", "/admin/executions/", "/admin/nowhere/"])
def test_staff_without_permissions_find_nothing_of_others(rows, at):
    rows["graph"].name = "needle-in-a-haystack"
    rows["graph"].save()
    user = make_user()
    user.is_staff = True
    user.save()

    answer = console_of(user).get(at)

    assert answer.status_code in (200, 302, 404)
    assert b"in-a-haystack" not in answer.content


@pytest.mark.parametrize("model", ["graphs.graph", "auth.user", "auth.group"])
def test_staff_without_permissions_are_suggested_nothing(rows, model):
    user = make_user()
    user.is_staff = True
    user.save()

    for referring, field in (("webhook", "graph"), ("schedule", "graph"), ("apikey", "owner"), ("budget", "owner")):
        app = "access" if referring == "apikey" else "executions"
        query = {"app_label": app, "model_name": referring, "field_name": field, "term": ""}
        assert console_of(user).get("/admin/autocomplete/", query).status_code == 403


def test_whoever_is_nobody_sees_the_login_and_nothing_else(rows):
    client = Client(raise_request_exception=False)

    seen = {at: client.get(address(at, rows)).status_code for at, name in PAGES if name != "login"}

    assert {at: status for at, status in seen.items() if status not in (302, 404)} == {}


class TestAKey:
    """Of an API key only the scope counts that the view names."""

    def test_without_the_one_scope_is_refused_and_with_it_let_in(self):
        owner, wrong = make_user(), {}
        only = {scope: make_key(owner, scope) for scope in Scope}
        others = {scope: make_key(owner, *[one for one in Scope if one != scope]) for scope in Scope}

        for at, method, action, view in ASKED:
            scope = scope_of(view, method.upper(), action)
            if scope == ANY_KEY:
                continue
            refused, let_in = (asked(keys[Scope(scope)], method, at) for keys in (others, only))
            if (refused.status_code, refused.data["code"]) != (403, "SCOPE_MISSING") or let_in.status_code in (
                401,
                403,
            ):
                wrong[f"{method} {at}"] = (refused.status_code, let_in.status_code)

        assert wrong == {}

    def test_that_reads_writes_nowhere(self):
        text = make_key(make_user(), *[scope for scope in Scope if scope.value.endswith(":read")])

        written = {
            (method, at): asked(text, method, at).status_code
            for at, method, action, _ in ASKED
            if method != "get" and action not in ("validate", "preview", "preview_retry")
        }

        assert {key: status for key, status in written.items() if status != 403} == {}


def asked(text: str, method: str, at: str) -> Any:
    client = APIClient(headers={"Authorization": f"Bearer {text}"})
    return getattr(client, method)(path_of(at, UNKNOWN), {} if method != "get" else None, format="json")


@pytest.mark.parametrize(("at", "nobody"), [("/api/schema/", 401), ("/api/docs/", 302)])
def test_the_description_of_the_api_is_for_whoever_may_ask_it(at, nobody):
    client = APIClient(headers={"Authorization": f"Bearer {make_key(make_user())}"})
    wrong = APIClient(headers={"Authorization": "Bearer wrong"})

    assert [one.get(at).status_code for one in (APIClient(), wrong, client)] == [nobody, 401, 200]


def test_who_opens_the_description_in_a_browser_is_asked_to_log_in():
    assert APIClient().get("/api/docs/")["Location"] == "/admin/login/?next=/api/docs/"


@pytest.mark.django_db(transaction=True)
def test_a_role_that_is_taken_away_is_gone_with_the_next_request(rows):
    user = make_user()
    user.is_staff = user.is_superuser = True
    user.save()
    client = console_of(user)
    before = client.get("/admin/executions/execution/").status_code

    user.is_superuser = False
    user.save()

    assert (before, client.get("/admin/executions/execution/").status_code) == (200, 403)


def test_there_is_no_user_to_begin_with():
    assert not get_user_model()._default_manager.exists()


class TestAcrossSites:
    """S22: what another site makes a browser send does nothing, and what is only looked at does nothing either."""

    @pytest.fixture
    def root(self) -> Any:
        return get_user_model().objects.create_superuser("root")

    def test_nothing_of_the_console_is_done_without_the_token(self, root, rows):
        client, before = Client(enforce_csrf_checks=True, raise_request_exception=False), snapshot(rows)
        client.force_login(root)

        done = {
            name: status for at, name in PAGES if name and (status := client.post(address(at, rows)).status_code) != 403
        }

        assert done == {}
        assert snapshot(rows) == before

    def test_nothing_of_the_api_is_done_without_the_token(self, root):
        client = APIClient(enforce_csrf_checks=True)
        client.force_login(root)

        answers = {
            (method, at): getattr(client, method)(path_of(at, UNKNOWN), {}, format="json")
            for at, method, *_ in ASKED
            if method != "get"
        }

        assert {key: one.status_code for key, one in answers.items() if one.data["code"] != "PERMISSION_DENIED"} == {}

    def test_nothing_is_done_by_looking_at_it(self, root, rows):
        client, before = console_of(root), snapshot(rows)

        looked = {name: client.get(address(at, rows)).status_code for at, name in PAGES if name != "logout"}

        assert {name: status for name, status in looked.items() if status >= 500} == {}
        assert snapshot(rows) == before
