"""The console's window onto files."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from files import storing, uses
from tests.factories import make_execution, make_user

pytestmark = pytest.mark.django_db

AT = "/admin/files/file/"
HOSTILE = '<img src=x onerror="alert(1)">.html'


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def test_s20_shows_names_as_text_and_offers_the_content(client):
    file = storing.store([b"<script>"], owner_id=make_user().pk, name=HOSTILE, content_type="text/html")

    pages = [client.get(AT), client.get(f"{AT}{file.pk}/change/")]

    for page in pages:
        assert page.status_code == 200
        assert b"<img src=x" not in page.content
        assert f"{AT}{file.pk}/content/".encode() in page.content
    answer = client.get(f"{AT}{file.pk}/content/")
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    assert answer["Content-Disposition"].startswith("attachment;")


def test_says_that_a_file_was_uploaded_and_stays(client):
    file = storing.store([b"x"], owner_id=make_user().pk, name="tea.txt")

    told, folded = client.get(f"{AT}{file.pk}/change/").content.decode().split("Technical")

    assert "uploaded" in told
    assert "never" in told
    assert file.sha256 in folded


def test_finds_by_name_and_nothing_by_its_part(client):
    storing.store([b"x"], owner_id=make_user().pk, name="tea.txt")

    found = [len(client.get(AT, {"q": term}).context["cl"].result_list) for term in ("tea.txt", "tea")]

    assert found == [1, 0]


def test_leads_to_the_executions_that_use_it_and_back(client):
    execution, other = make_execution(), make_execution()
    file = storing.store([b"x"], owner_id=execution.owner_id, name="tea.txt")
    uses.note(execution.pk, [file.pk])

    page = client.get(f"{AT}{file.pk}/change/").content.decode()
    found = client.get("/admin/executions/execution/", {"file": str(file.pk)})

    assert f"/admin/executions/execution/?file={file.pk}" in page
    assert "Executions that use one file" in found.content.decode()
    assert [one.pk for one in found.context["cl"].result_list] == [execution.pk]
    listed = {one.pk: client.get(AT, {"q": str(one.pk)}).context["cl"].result_list for one in (execution, other)}
    assert {pk: len(files) for pk, files in listed.items()} == {execution.pk: 1, other.pk: 0}


def test_changes_nothing(client):
    file = storing.store([b"x"], owner_id=make_user().pk, name="tea.txt")

    answers = [client.post(f"{AT}{file.pk}/{what}/") for what in ("change", "delete")]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert client.get(f"{AT}add/").status_code == 403
