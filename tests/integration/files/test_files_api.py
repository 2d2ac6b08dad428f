"""The API of files: upload, look at, download, delete; limits that hold while it is read; S12, S19 and S34 at this door."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from rest_framework.test import APIClient

from access.scopes import Scope
from agentplatform.lib import once
from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from files import storing
from files.api import AT_ONCE
from files.errors import FileGone
from files.models import CHUNK_BYTES, File, FileChunk, FileKey
from tests.factories import make_key, make_user
from tests.integration.executions.paying import nobody_connected
from tests.integration.executions.races import at_once
from tests.servers import wait_until

# The client of these tests reads in turn what a server reads as it comes.
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")]

AT = "/api/v1/files/"
KEY = "3f1c1d5e-7a1b-4b57-9a9e-5f0c6a0e2f11"


def client_of(owner: Any, *scopes: Scope) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(owner, *scopes)}"})


def upload(client: APIClient, content: bytes = b"tea", name: str = "tea.txt", **fields: Any) -> Any:
    kind, key = fields.pop("content_type", "text/plain"), fields.pop("idempotency_key", None)
    body = {"file": SimpleUploadedFile(name, content, kind), **fields}
    return client.post(AT, body, format="multipart", headers={} if key is None else {"Idempotency-Key": key})


def downloaded(client: APIClient, file_id: str) -> bytes:
    return b"".join(client.get(f"{AT}{file_id}/content/"))


@pytest.fixture
def client() -> APIClient:
    return client_of(make_user())


class TestUploading:
    def test_tells_what_was_kept(self, client):
        answer = upload(client, b"green tea", "tea.txt")

        assert answer.status_code == 201
        shown = client.get(f"{AT}{answer.data['id']}/")
        assert shown.data == answer.data
        assert (shown.data["name"], shown.data["content_type"], shown.data["size"]) == ("tea.txt", "text/plain", 9)
        assert shown.data["sha256"] == hashlib.sha256(b"green tea").hexdigest()
        assert (shown.data["expires_at"], shown.data["execution"]) == (None, None)
        assert shown["ETag"]

    @pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 3])
    def test_keeps_each_byte(self, client, size):
        content = bytes(range(256)) * (size // 256 + 1)

        answer = upload(client, content[:size])

        assert downloaded(client, answer.data["id"]) == content[:size]
        lengths = list(FileChunk.objects.order_by("number").values_list("content", flat=True))
        assert [len(one) for one in lengths] == [CHUNK_BYTES] * (size // CHUNK_BYTES) + [size % CHUNK_BYTES] * bool(
            size % CHUNK_BYTES
        )

    def test_is_refused_beyond_the_limit_and_leaves_nothing(self, client, settings):
        settings.AGENTPLATFORM_MAX_FILE_BYTES = 1000

        answers = [upload(client, b"x" * size) for size in (1000, 1001)]

        assert [answer.status_code for answer in answers] == [201, 413]
        assert answers[1].data["code"] == "FILE_TOO_LARGE"
        assert File.objects.count() == 1

    def test_is_refused_beyond_the_quota_and_leaves_nothing(self, client, settings):
        settings.AGENTPLATFORM_MAX_OWNED_FILE_BYTES = 1500

        answers = [upload(client, b"x" * 1000), upload(client, b"x" * 501), upload(client, b"x" * 500)]

        assert [answer.status_code for answer in answers] == [201, 409, 201]
        assert (answers[1].data["code"], File.objects.count()) == ("FILE_QUOTA_EXCEEDED", 2)

    def test_is_refused_beyond_the_number_of_files(self, client, settings):
        settings.AGENTPLATFORM_MAX_OWNED_FILES = 2

        answers = [upload(client, b"") for _ in range(3)]

        assert [answer.status_code for answer in answers] == [201, 201, 409]
        assert (answers[2].data["code"], File.objects.count()) == ("FILE_QUOTA_EXCEEDED", 2)

    def test_finds_room_where_others_have_expired(self, client, settings):
        settings.AGENTPLATFORM_MAX_OWNED_FILE_BYTES = 1500
        upload(client, b"x" * 1000, expires_at="2100-01-01T00:00:00Z")
        File.objects.update(expires_at=now() - timedelta(seconds=1))

        assert upload(client, b"x" * 1500).status_code == 201
        assert (File.objects.count(), FileChunk.objects.count()) == (1, 1)

    @pytest.mark.parametrize("size", [1, 300_000])
    @pytest.mark.parametrize("missing", [1, 20, 90, 200_000])
    def test_that_has_not_come_whole_is_refused(self, client, size, missing):
        head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        field = b'\r\n--B\r\nContent-Disposition: form-data; name="expires_at"\r\n\r\n2100-01-01T00:00:00Z'
        body = (head + b"x" * size + field + b"\r\n--B--")[:-missing]

        answer = client.generic("POST", AT, body, content_type="multipart/form-data; boundary=B")

        assert (answer.status_code, File.objects.count()) == (400, 0)

    def test_ends_at_no_moment_that_says_nothing(self, client):
        answer = upload(client, expires_at="")

        assert (answer.status_code, answer.data["errors"][0]["path"]) == (400, "expires_at")
        assert not File.objects.exists()

    def test_counts_only_ones_own(self, client, settings):
        settings.AGENTPLATFORM_MAX_OWNED_FILE_BYTES = 1500
        storing.store([b"x" * 1500], owner_id=make_user().pk, name="theirs")

        assert upload(client, b"x" * 1500).status_code == 201

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b'{"files": {"path": "/etc/passwd"}}', "application/json"),
            (b'{"file": "/etc/passwd"}', "application/json; charset=utf-7"),
            (b"file=%2Fetc%2Fpasswd", "application/x-www-form-urlencoded"),
        ],
    )
    def test_s19_takes_a_form_with_a_file_only(self, client, body, kind):
        answer = client.generic("POST", AT, body, content_type=kind)

        assert answer.status_code == 415

    @pytest.mark.parametrize("fields", [{}, {"file": "/etc/passwd"}, {"path": "/etc/passwd"}])
    def test_s19_takes_no_path(self, client, fields):
        answer = client.post(AT, fields, format="multipart")

        assert (answer.status_code, File.objects.count()) == (400, 0)

    def test_takes_one_file_at_a_time(self, client):
        both = {"file": [SimpleUploadedFile("a", b"a"), SimpleUploadedFile("b", b"b")]}

        answer = client.post(AT, both, format="multipart")

        assert (answer.status_code, answer.data["code"], File.objects.count()) == (400, "FILE_INVALID", 0)

    def test_s14_sets_nothing_that_the_platform_sets(self, client):
        more = {"owner": make_user().pk, "id": "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9", "size": 1, "key": "k"}

        answer = upload(client, **more)

        assert (answer.status_code, {one["path"] for one in answer.data["errors"]}) == (400, set(more))
        assert not File.objects.exists()

    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\windows\\win.ini", "win.ini"),
            ("C:evil.exe", "evil.exe"),
            ("..", "file"),
            ("<img src=x onerror=alert(1)>.html", "<img src=x onerror=alert(1)>.html"),
            ("x" * 300 + ".txt", "x" * 251 + ".txt"),
            ("a\u202egpj.exe", "agpj.exe"),
            ("a\x00b\r\nc.txt", "abc.txt"),
            ("Grün.txt", "Grün.txt"),
        ],
    )
    def test_s34_a_name_is_shown_and_never_a_path(self, client, said, shown):
        file = storing.store([b""], owner_id=make_user().pk, name=said)

        assert file.name == shown

    @pytest.mark.parametrize(
        "said", ["text/html; charset=utf-16", "TEXT/HTML", "nonsense", "a/b\r\nX: y", "x/" + "y" * 200]
    )
    def test_a_type_is_one_or_unknown(self, said):
        file = storing.store([b""], owner_id=make_user().pk, name="x", content_type=said)

        assert file.content_type in ("text/html", "application/octet-stream")


class TestAKey:
    def test_gives_the_same_file_again(self, client):
        first, second = (upload(client, idempotency_key=KEY) for _ in range(2))

        assert (first.status_code, second.status_code) == (201, 201)
        assert (first.data, File.objects.count()) == (second.data, 1)
        assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")

    @pytest.mark.parametrize(
        "other",
        [
            {"content": b"cup"},
            {"name": "cup.txt"},
            {"content_type": "text/csv"},
            {"expires_at": "2100-01-01T00:00:00Z"},
        ],
    )
    def test_is_refused_with_anything_else(self, client, other):
        upload(client, idempotency_key=KEY)

        answer = upload(client, idempotency_key=KEY, **other)

        assert (answer.status_code, answer.data["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
        assert File.objects.count() == 1

    def test_does_not_mind_how_the_form_is_written(self, client):
        first = upload(client, idempotency_key=KEY, expires_at="2100-01-01T00:00:00Z")

        second = upload(client, idempotency_key=KEY, expires_at="2100-01-01T02:00:00+02:00")

        assert first.data == second.data

    def test_of_somebody_else_is_another(self, client):
        answers = [upload(one, idempotency_key=KEY) for one in (client, client_of(make_user()))]

        assert answers[0].data["id"] != answers[1].data["id"]
        assert {answer.status_code for answer in answers} == {201}

    def test_is_forgotten_after_a_day(self, client):
        first = upload(client, idempotency_key=KEY)
        FileKey.objects.update(created_at=now() - once.KEPT - timedelta(seconds=1))

        second = upload(client, idempotency_key=KEY, content=b"cup")

        assert (second.status_code, first.data["id"] == second.data["id"]) == (201, False)
        FileKey.objects.update(created_at=now() - once.KEPT - timedelta(seconds=1))
        assert (once.forget_old(FileKey), FileKey.objects.count(), File.objects.count()) == (1, 0, 2)

    def test_of_what_was_refused_is_free_again(self, client, settings):
        settings.AGENTPLATFORM_MAX_OWNED_FILE_BYTES = 2

        refused = upload(client, idempotency_key=KEY)
        accepted = upload(client, idempotency_key=KEY, content=b"ab")

        assert (refused.status_code, accepted.status_code) == (409, 201)

    def test_of_a_file_that_is_gone_keeps_it_anew(self, client):
        first = upload(client, idempotency_key=KEY)
        client.delete(f"{AT}{first.data['id']}/")

        again, once_more = (upload(client, idempotency_key=KEY) for _ in range(2))

        assert ("Idempotent-Replayed" in again, "Idempotent-Replayed" in once_more) == (False, True)
        assert (again.data["id"], File.objects.count()) == (once_more.data["id"], 1)

    @pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
    def test_can_not_be_everything(self, client, key):
        answer = upload(client, idempotency_key=key)

        assert (answer.status_code, answer.data["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
        assert not File.objects.exists()


class TestDownloading:
    def test_is_an_attachment_that_no_browser_runs(self, client):
        file = upload(client, b"<script>", 'a"b.html', content_type="text/html").data

        answer = client.get(f"{AT}{file['id']}/content/", headers={"Accept-Encoding": "gzip"})

        assert not answer.has_header("Content-Encoding")
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer["Content-Disposition"].startswith("attachment; filename=")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer["Content-Length"] == "8"

    def test_names_it_in_any_language(self, client):
        file = storing.store([b""], owner_id=self.owner_of(client), name="Grün 茶.txt")

        answer = client.get(f"{AT}{file.pk}/content/")

        assert answer["Content-Disposition"] == "attachment; filename*=utf-8''Gr%C3%BCn%20%E8%8C%B6.txt"

    def test_tells_of_it_without_reading_it(self, client):
        file = upload(client, b"tea").data

        answer = client.head(f"{AT}{file['id']}/content/")

        assert (answer.status_code, answer["Content-Length"], answer.content) == (200, "3", b"")

    @pytest.mark.parametrize(
        ("asked", "begin", "end"),
        [
            ("bytes=0-0", 0, 1),
            (f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
            (f"bytes={CHUNK_BYTES}-", CHUNK_BYTES, 2 * CHUNK_BYTES + 3),
            ("bytes=-2", 2 * CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 3),
            ("bytes=5-99999999", 5, 2 * CHUNK_BYTES + 3),
            ("bytes=-99999999", 0, 2 * CHUNK_BYTES + 3),
        ],
    )
    def test_gives_one_part(self, client, asked, begin, end):
        content = bytes(range(251)) * (2 * CHUNK_BYTES // 251 + 1)
        content = content[: 2 * CHUNK_BYTES] + b"end"
        file = upload(client, content).data

        answer = client.get(f"{AT}{file['id']}/content/", headers={"Range": asked})

        assert (answer.status_code, answer["Content-Length"]) == (206, str(end - begin))
        assert answer["Content-Range"] == f"bytes {begin}-{end - 1}/{len(content)}"
        assert b"".join(answer) == content[begin:end]

    @pytest.mark.parametrize(
        "asked", ["bytes=", "bytes=-", "bytes=2-1", "bytes=0-0,2-2", "lines=0-1", "bytes=" + "9" * 5000]
    )
    def test_gives_all_where_no_part_is_understood(self, client, asked):
        file = upload(client, b"tea").data

        answer = client.get(f"{AT}{file['id']}/content/", headers={"Range": asked})

        assert (answer.status_code, b"".join(answer)) == (200, b"tea")

    def test_gives_all_where_it_is_another_by_now(self, client):
        file = upload(client, b"tea").data

        answers = [
            client.get(f"{AT}{file['id']}/content/", headers={"Range": "bytes=1-1", "If-Range": tag})
            for tag in ('"other"', f'"{file["sha256"]}"')
        ]

        assert [b"".join(answer) for answer in answers] == [b"tea", b"e"]

    @pytest.mark.parametrize("asked", ["bytes=3-", "bytes=9-9", "bytes=-0"])
    def test_has_no_part_beyond_its_end(self, client, asked):
        file = upload(client, b"tea").data

        answer = client.get(f"{AT}{file['id']}/content/", headers={"Range": asked})

        assert (answer.status_code, answer.data["code"]) == (416, "FILE_RANGE_INVALID")

    def test_gives_nothing_twice_to_whoever_has_it(self, client):
        file = upload(client).data

        answer = client.get(f"{AT}{file['id']}/content/", headers={"If-None-Match": f'"{file["sha256"]}"'})

        assert answer.status_code == 304

    def test_breaks_off_where_the_file_is_deleted_meanwhile(self):
        file = storing.store([b"x" * (CHUNK_BYTES + 1)], owner_id=make_user().pk, name="x")
        reading = storing.read(file)
        next(reading)
        storing.delete(file)

        with pytest.raises(FileGone):
            next(reading)

    @staticmethod
    def owner_of(client: APIClient) -> int:
        from access.models import ApiKey

        return ApiKey.objects.latest("id").owner_id


class TestWhatIsOthers:
    def test_s12_is_answered_as_what_does_not_exist(self, client):
        theirs = storing.store([b"x"], owner_id=make_user().pk, name="theirs")
        unknown = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"

        for at in ("{}/", "{}/content/"):
            found, missing = (client.get(AT + at.format(one)) for one in (theirs.pk, unknown))
            assert (found.status_code, found.data) == (missing.status_code, missing.data) == (404, missing.data)
        assert client.delete(f"{AT}{theirs.pk}/").status_code == 404
        assert client.get(AT).data["results"] == []

    def test_a_key_needs_the_scope(self):
        owner = make_user()
        reading = client_of(owner, Scope.FILES_READ)

        assert upload(reading).status_code == 403
        assert reading.get(AT).status_code == 200
        assert client_of(owner, Scope.GRAPHS_READ).get(AT).status_code == 403


class TestListing:
    def test_finds_by_name_and_content(self, client):
        first, second = upload(client, b"1", "a.txt").data, upload(client, b"2", "b.txt").data

        found = [
            [one["id"] for one in client.get(AT, query).data["results"]]
            for query in ({}, {"name": "a.txt"}, {"sha256": second["sha256"]})
        ]

        assert found == [[second["id"], first["id"]], [first["id"]], [second["id"]]]


class TestDeleting:
    def test_leaves_no_content(self, client):
        file = upload(client).data

        assert client.delete(f"{AT}{file['id']}/").status_code == 204
        assert (File.objects.count(), FileChunk.objects.count()) == (0, 0)

    def test_is_carried_out_only_if_it_is_still_so(self, client):
        file = upload(client).data

        assert client.delete(f"{AT}{file['id']}/", headers={"If-Match": '"other"'}).status_code == 412


class TestExpiring:
    def test_is_gone_at_once_and_cleaned_away_later(self, client):
        file = upload(client, expires_at=(now() + timedelta(hours=1)).isoformat()).data
        kept = upload(client).data
        File.objects.filter(pk=file["id"]).update(expires_at=now() - timedelta(seconds=1))

        assert client.get(f"{AT}{file['id']}/").status_code == 404
        assert storing.prune() == 1
        assert [str(one.pk) for one in File.objects.all()] == [kept["id"]]
        assert FileChunk.objects.count() == 1

    def test_lies_ahead(self, client):
        answer = upload(client, expires_at=(now() - timedelta(hours=1)).isoformat())

        assert (answer.status_code, answer.data["errors"][0]["path"]) == (400, "expires_at")


class TestWritingAgain:
    def write(self, owner: Any, content: bytes, fence: int, attempt: int = 1) -> File:
        writer = storing.Writer(uuid7(), "firing/0", fence, attempt)
        return storing.store([content], owner_id=owner.pk, name="x", writer=writer)

    def test_leaves_one_file_with_the_same_id(self):
        owner = make_user()

        files = [self.write(owner, content, fence) for fence, content in enumerate((b"first", b"second one"))]

        assert files[0].pk == files[1].pk
        assert b"".join(storing.read(File.objects.get())) == b"second one"

    def test_changes_nothing_for_whoever_has_lost_the_firing(self):
        owner = make_user()
        self.write(owner, b"new", 2)

        self.write(owner, b"old", 1)

        assert b"".join(storing.read(File.objects.get())) == b"new"

    def test_changes_nothing_for_an_attempt_that_was_given_up(self):
        owner = make_user()
        self.write(owner, b"new", 1, attempt=2)

        self.write(owner, b"old", 1, attempt=1)

        assert b"".join(storing.read(File.objects.get())) == b"new"


@pytest.mark.django_db(transaction=True)
def test_of_fifty_who_upload_the_same_at_once_one_file_comes():
    owner = make_user()
    clients = [client_of(owner) for _ in range(10)]
    content = b"x" * (CHUNK_BYTES + 1)

    def ask(number: int) -> list[Any]:
        return [upload(clients[number], content, idempotency_key=KEY) for _ in range(5)]

    with nobody_connected():
        answers = [one for its in at_once(10, ask) for one in its]

    kept = [answer for answer in answers if answer.status_code == 201]
    others = {(answer.status_code, answer.data["code"]) for answer in answers if answer.status_code != 201}
    assert len(answers) == 50
    assert sum("Idempotent-Replayed" not in answer for answer in kept) == 1
    assert len({answer.data["id"] for answer in kept}) == 1
    assert others <= {(409, "IDEMPOTENCY_IN_FLIGHT")}
    assert (File.objects.count(), FileChunk.objects.count(), FileKey.objects.count()) == (1, 2, 1)


@pytest.mark.django_db(transaction=True)
def test_whoever_waits_to_be_stored_keeps_no_connection_from_others():
    owner = make_user()
    clients = [client_of(owner) for _ in range(AT_ONCE + 3)]

    with ThreadPoolExecutor(len(clients)) as pool, nobody_connected():
        with transaction.atomic():
            storing._wait_for_others(owner.pk)
            asked = [pool.submit(upload_apart, one) for one in clients]
            wait_until(lambda: waiting() == AT_ONCE, what="Those whose turn it is")
            assert not any(one.done() for one in asked)
        statuses = [one.result() for one in asked]

    assert statuses == [201] * len(clients)
    assert File.objects.count() == len(clients)


def upload_apart(client: APIClient) -> int:
    try:
        return int(upload(client).status_code)
    finally:
        connection.close()


def waiting() -> int:
    """Return how many connections wait for the files of an owner to be written."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [storing.LOCKS],
        )
        return int(cursor.fetchone()[0])


def test_content_is_stored_as_it_is():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = 'files_chunk'::regclass AND attname = 'content'"
        )

        assert cursor.fetchone() == ("e",)
