"""S20: what others write is text on every page of the console, and each page says what a browser may load and run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from agentplatform import refusals
from tests.console import PAGES, address, make_rows
from tests.factories import make_key
from tests.servers import running_web

CHROMIUM = Path("/usr/bin/chromium")
MARKUP = "</script><img src=x onerror=alert(1)>\"'><b x-init=alert(2)>"
LINK = "javascript:alert(3)//"
#: What others write, by model and field: as they would.
WRITTEN: dict[str, dict[str, Any]] = {
    "graph": {"name": MARKUP, "description": MARKUP},
    "node": {"title": MARKUP, "inputs": {MARKUP: MARKUP}, "metadata": {MARKUP: MARKUP}},
    "execution": {
        "inputs": {MARKUP: LINK},
        "outputs": {MARKUP: [MARKUP, {MARKUP: MARKUP}]},
        "error_message": MARKUP,
        "error_hint": MARKUP,
    },
    "nodeexecution": {
        "inputs": {MARKUP: MARKUP},
        "outputs": {"output": [MARKUP, LINK]},
        "error_code": "FAILED",
        "error_message": MARKUP,
        "error_hint": MARKUP,
        "history": [{"attempt": 1, "started_at": "2026-01-01T00:00:00+00:00", "error": {"message": MARKUP}}],
    },
    "wait": {"title": MARKUP, "data": {MARKUP: LINK}, "comment": MARKUP},
    "file": {"name": MARKUP, "content_type": MARKUP},
    "schedule": {"name": MARKUP, "inputs": {MARKUP: MARKUP}},
    "fire": {"message": MARKUP},
    "webhook": {"name": MARKUP, "mapping": {"text": MARKUP}},
    "delivery": {
        "event": MARKUP,
        "message": MARKUP,
        "payload": {MARKUP: LINK},
        "headers": {"user-agent": MARKUP, "referer": LINK},
    },
    "subscription": {"name": MARKUP, "url": LINK + MARKUP},
    "outgoingdelivery": {
        "event": MARKUP,
        "payload": {"data": {MARKUP: LINK}},
        "answer": MARKUP,
        "error_message": MARKUP,
    },
    "apikey": {"name": MARKUP},
    "credential": {"name": MARKUP, "base_url": LINK + MARKUP},
    "tokenprice": {"model": MARKUP, "note": MARKUP},
    "user": {"username": MARKUP, "first_name": MARKUP, "email": MARKUP},
    "group": {"name": MARKUP},
}
#: Not a page of ours, or one that is no page.
LEFT_OUT = {"logout", "jsi18n", "view_on_site", "autocomplete"}


class Active(HTMLParser):
    """Finds what a browser would run, and what it was given by others."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and not given.get("src") and given.get("type") != "application/json":
            self.found.append(f"a script in the page: {attrs}")
        for name, value in attrs:
            is_followed = name in ("href", "src", "action", "formaction", "srcdoc")
            if name.startswith("on") or (is_followed and (value or "").strip().lower().startswith("javascript:")):
                self.found.append(f"{tag} {name}={value}")
            if name in ("x-init", "src") and value in ("alert(2)", "x"):
                self.found.append(f"markup of others: {tag} {name}={value}")


@pytest.fixture
def rows() -> dict[str, Any]:
    """One of everything, in which all that others write is markup."""
    rows = make_rows()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # also what never changes
    for model, fields in WRITTEN.items():
        known = {field.name for field in rows[model]._meta.get_fields()}
        assert set(fields) <= known, f"{model}: {set(fields) - known}"
        cut = {
            name: value[:length] if isinstance(value, str) and (length := _longest(rows[model], name)) else value
            for name, value in fields.items()
        }
        type(rows[model])._default_manager.filter(pk=rows[model].pk).update(**cut)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = origin")
    return rows


def _longest(row: Any, name: str) -> int | None:
    return getattr(row._meta.get_field(name), "max_length", None)


def addresses(rows: dict[str, Any]) -> Iterator[str]:
    yield from (address(at, rows) for at, name in PAGES if name and name not in LEFT_OUT)
    yield from ("/admin/search/?s=alert", "/nowhere", "/admin/nowhere/")


def is_page(answer: Any) -> bool:
    """Say whether a browser shows it; of the rest a file is kept, and lines are only data."""
    return not answer.streaming and answer["Content-Type"].startswith("text/html")


@pytest.fixture
def root() -> Any:
    return get_user_model().objects.create_superuser("root")


@pytest.mark.slow
@pytest.mark.django_db
def test_what_others_write_is_text_on_every_page(root, rows):
    client, wrong, shown = Client(raise_request_exception=False), {}, 0
    client.force_login(root)

    for at in addresses(rows):
        answer = client.get(at)
        if not is_page(answer):
            continue
        page = answer.content.decode()
        shown += "&lt;img src=x" in page
        if answer.status_code >= 500 or (found := Active(page).found):
            wrong[at] = found if answer.status_code < 500 else answer.status_code

    assert wrong == {}
    assert shown > len(WRITTEN)  # else nothing was tried


@pytest.mark.django_db
class TestThePolicy:
    def of(self, client: Client, at: str) -> dict[str, str]:
        policy = client.get(at)["Content-Security-Policy"]
        return dict(part.strip().split(" ", 1) for part in policy.split(";"))

    @pytest.mark.parametrize("at", ["/admin/login/", "/admin/", "/admin/graphs/graph/", "/api/docs/", "/nowhere"])
    def test_of_a_page_lets_nothing_in_but_what_is_ours_and_no_script_in_the_page(self, root, at):
        client = Client()
        client.force_login(root)

        policy = self.of(client, at)

        assert set(policy["script-src"].split()) <= {"'self'", "'unsafe-eval'"}
        assert ("'unsafe-eval'" in policy["script-src"]) == at.startswith("/admin/")
        assert {policy[name] for name in ("default-src", "base-uri", "frame-ancestors")} == {"'none'"}
        assert {policy[name] for name in ("connect-src", "form-action", "font-src")} == {"'self'"}

    @pytest.mark.parametrize("at", ["/api/v1/", "/healthz", "/api/schema/"])
    def test_of_what_is_no_page_lets_nothing_in(self, root, at):
        text = make_key(root)

        policy = Client(headers={"Authorization": f"Bearer {text}"}).get(at)["Content-Security-Policy"]

        assert policy.startswith("default-src 'none';")
        assert "script-src" not in policy


@pytest.mark.django_db
class TestWhatIsNoPage:
    """They need nothing but themselves, and lead back."""

    @pytest.mark.parametrize(
        ("at", "status", "told"),
        [
            ("/nowhere", 404, "There is nothing here"),
            ("/admin/nowhere/", 404, "There is nothing here"),
            ("/admin/graphs/link/add/", 403, "You may not see this"),
        ],
    )
    def test_says_what_it_is_and_leads_back(self, root, at, status, told):
        client = Client(raise_request_exception=False)
        client.force_login(root)

        answer = client.get(at)

        assert (answer.status_code, told in answer.content.decode()) == (status, True)
        assert 'href="/admin/"' in answer.content.decode()

    def test_is_shown_of_a_fault_of_ours_too(self, rf):
        answer = refusals.failed(rf.get("/admin/"))

        assert (answer.status_code, "This is our fault" in answer.content.decode()) == (500, True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("at", "called"),
    [
        ("graphs/graph", "Graphs"),
        ("graphs/graphversion", "Versions"),
        ("executions/wait", "Waits"),
        ("executions/fire", "Times of schedules"),
        ("executions/ledgerentry", "Ledger entries"),
        ("auth/user", "Users"),
        ("access/apikey", "API keys"),
    ],
)
def test_a_list_has_one_name_in_the_sidebar_its_title_and_the_line_above_it(root, at, called):
    client = Client()
    client.force_login(root)

    page = client.get(f"/admin/{at}/").content.decode()

    assert f"{called} | agentplatform" in page
    assert page.count(f'href="/admin/{at.split("/")[0]}/"') == 0
    assert re.findall(rf'href="/admin/{at}/"[^>]*>\s*(\w[^<]*?)\s*<', page) == [called]
    assert re.search(rf'href="/admin/{at}/".{{0,600}}?<span[^>]*>\s*{called}\s*<', page, re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
@pytest.mark.django_db(transaction=True)
class TestABrowser:
    @pytest.fixture
    def at(self, root: Any, rows: dict[str, Any]) -> list[str]:
        """The addresses of the pages; of others there is nothing to look at."""
        client = Client(raise_request_exception=False)
        client.force_login(root)
        self.session = client.cookies["sessionid"].value
        return [one for one in addresses(rows) if (answer := client.get(one)).status_code == 200 and is_page(answer)]

    @pytest.fixture
    def page(self, at: list[str]) -> Iterator[Any]:
        """A page of a browser in which somebody is logged in who may do everything."""
        from playwright.sync_api import sync_playwright

        with running_web() as web, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            context = browser.new_context(base_url=web.url)
            context.add_cookies([{"name": "sessionid", "value": self.session, "url": web.url}])
            yield context.new_page()
            browser.close()

    def test_runs_nothing_of_others_and_misses_nothing_of_ours(self, page, at):
        said: list[tuple[str, str, str]] = []
        page.on("dialog", lambda dialog: (said.append((page.url, "dialog", dialog.message)), dialog.dismiss()))
        page.on("pageerror", lambda error: said.append((page.url, "error", str(error))))
        page.on(
            "console",
            lambda line: said.append((page.url, line.type, line.text)) if line.type in ("error", "warning") else None,
        )

        for one in at:
            page.goto(one)
        page.goto("/api/docs/")
        page.locator("#swagger-ui .opblock").first.wait_for()

        assert said == []

    def test_asks_before_a_secret_is_replaced_and_does_not_replace_it_again_when_the_page_is_loaded_again(
        self, page, rows
    ):
        webhook, asked = rows["webhook"], []
        page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
        page.goto(f"/admin/executions/webhook/{webhook.pk}/change/")

        page.get_by_role("button", name="Replace").click()
        shown = page.locator("[data-reload] code").last.inner_text()
        page.reload()

        assert len(asked) == 1
        assert page.url.endswith(f"/admin/executions/webhook/{webhook.pk}/change/")
        assert shown not in page.content()
        assert f"…{shown[-4:]}" in page.content()
