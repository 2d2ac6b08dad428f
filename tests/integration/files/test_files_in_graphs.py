"""Files as inputs and outputs of graphs: whose they are, what becomes of a repeated firing, S13 and S25 at this door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from agentplatform.lib.ids import first_id_at
from blocks import registry
from blocks.sdk import Block, BlockError, Placement, Retry
from executions import file_uses, own_schedules, pruning, services
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import Status
from executions.models import Execution, NodeExecution
from files import storing, uses
from files.errors import FileNotFound, FileQuotaExceeded
from files.models import File, FileUse
from integrations.providers import ProviderName
from tests.blocks import AnyInput, AnyOutput
from tests.factories import make_execution, make_key, make_published, make_user
from tests.integration.executions.races import at_once
from tests.keys import make_credential, new_secret, run

pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"
FILES = "/api/v1/files/"


class WritesTwo(Block):
    """Writes two files, and fails after that when it is told to."""

    id = "files.writes-two"
    name = "Write two files"
    description = "Writes what it is given, twice."
    placement = Placement.IO
    input_schema, output_schema = AnyInput, AnyOutput
    tries = 0

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Write, then fail the first time."""
        type(self).tries += 1
        first = await self.write_file("a.txt", f"{input_data.input} {self.tries}")
        await self.write_file("b.bin", b"\xff\x00" + str(input_data.input).encode())
        if input_data.input == "fail" and self.tries == 1:
            raise RuntimeError("the first time")
        yield "output", first


class WritesKey(Block):
    """Writes the key that it is handed."""

    id = "files.writes-key"
    name = "Write the key"
    description = "Writes what nobody may read."
    placement = Placement.IO
    credentials_required = (ProviderName.OPENAI,)
    input_schema, output_schema = AnyInput, AnyOutput

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Write it as a text, and among bytes that are none."""
        key = (await self.get_credentials(ProviderName.OPENAI)).api_key
        await self.write_file(f"{key}.txt", f"key={key}")
        await self.write_file("b.bin", b"\xff\x00" + key.encode())
        yield "output", 1


def client_of(owner: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(owner)}"})


def uses_of(file: File) -> list[Any]:
    return list(FileUse.objects.filter(file_id=file.pk).values_list("execution_id", flat=True))


def reading(owner: Any) -> Any:
    """Return a graph that reads a file."""
    nodes = [NodeSpec("in", "input-block", {"name": "doc"}), NodeSpec("read", "read-text-file-block")]
    return make_published(nodes, [LinkSpec("in", "output", "read", "file")], owner=owner)


def writing(owner: Any, given: str, **node: Any) -> Any:
    """Return a graph that writes two files."""
    registry.register(WritesTwo)
    WritesTwo.tries = 0
    return make_published([NodeSpec("write", WritesTwo.id, {"input": given}, **node)], owner=owner)


def started(version: Any, inputs: Any = None) -> tuple[Execution, dict[str, NodeExecution]]:
    execution = services.start(version_id=version.pk, owner_id=version.graph.owner_id, inputs=inputs or {})
    return execution, run(execution)


class TestAnInput:
    def test_is_read_by_a_node(self):
        owner = make_user()
        file = storing.store([b"\xef\xbb\xbfgr\xc3\xbcn"], owner_id=owner.pk, name="tea.txt")

        _, rows = started(reading(owner), {"doc": {"file_id": str(file.pk)}})

        assert (rows["read"].status, rows["read"].outputs) == ("SUCCEEDED", {"text": ["grün"], "name": ["tea.txt"]})

    @pytest.mark.parametrize("nested", [lambda ref: ref, lambda ref: {"docs": [1, ref]}])
    def test_s13_of_another_is_refused_as_what_does_not_exist(self, nested):
        owner = make_user()
        version = reading(owner)
        theirs = storing.store([b"x"], owner_id=make_user().pk, name="theirs").pk
        told = []
        for file_id in (theirs, UNKNOWN, "../../etc/passwd", None, 7):
            ref = {"file_id": file_id if file_id in (None, 7) else str(file_id)}
            with pytest.raises(FileNotFound) as refused:
                services.start(version_id=version.pk, owner_id=owner.pk, inputs={"doc": nested(ref)})
            told.append(refused.value.as_dict())

        assert all(one == told[0] for one in told)
        assert told[0]["path"] in ("inputs.doc.file_id", "inputs.doc.docs.1.file_id")
        assert not Execution.objects.exists()

    def test_s13_is_refused_in_a_schedule_too(self):
        owner = make_user()
        version = reading(owner)

        with pytest.raises(FileNotFound):
            own_schedules.create(
                graph=version.graph, name="x", kind="cron", cron="@daily", inputs={"doc": {"file_id": UNKNOWN}}
            )

    def test_s13_is_looked_at_again_when_it_is_read(self):
        theirs = storing.store([b"x"], owner_id=make_user().pk, name="theirs").pk
        node = NodeSpec("read", "read-text-file-block", {"file": {"file_id": str(theirs)}})

        _, rows = started(make_published([node], owner=make_user()))

        assert (rows["read"].status, rows["read"].error_code) == ("FAILED", "FILE_GONE")

    def test_that_is_deleted_meanwhile_is_gone(self):
        owner = make_user()
        file = storing.store([b"x"], owner_id=owner.pk, name="x")
        version = reading(owner)
        execution = services.start(version_id=version.pk, owner_id=owner.pk, inputs={"doc": {"file_id": str(file.pk)}})
        storing.delete(file, force=True)

        assert run(execution)["read"].error_code == "FILE_GONE"

    def test_that_only_looks_like_one_is_a_value(self):
        owner = make_user()
        version = reading(owner)
        event = {"type": "file_shared", "file_id": "F2147483862"}

        assert services.start(version_id=version.pk, owner_id=owner.pk, inputs={"doc": event})

    def test_that_is_no_text_says_so(self):
        owner = make_user()
        file = storing.store([b"\xff\xfe\x00"], owner_id=owner.pk, name="x")

        _, rows = started(reading(owner), {"doc": {"file_id": str(file.pk)}})

        assert rows["read"].error_code == "FILE_NOT_TEXT"


class TestAFileThatABlockWrites:
    def test_belongs_to_the_owner_of_the_execution(self):
        owner = make_user()
        execution, rows = started(writing(owner, "tea"))

        files = {file.name: file for file in File.objects.filter(owner=owner)}

        assert {file.execution_id for file in files.values()} == {execution.pk}
        assert rows["write"].outputs["output"][0]["file_id"] == str(files["a.txt"].pk)
        assert b"".join(storing.read(files["a.txt"])) == b"tea 1"
        assert b"".join(storing.read(files["b.bin"])) == b"\xff\x00tea"

    def test_is_there_once_though_its_firing_is_repeated(self):
        owner = make_user()
        _, rows = started(writing(owner, "fail", retry=Retry(attempts=2, delay_s=0.0)))

        assert (rows["write"].status, WritesTwo.tries) == ("SUCCEEDED", 2)
        assert sorted(File.objects.values_list("name", flat=True)) == ["a.txt", "b.bin"]
        assert b"".join(storing.read(File.objects.get(name="a.txt"))) == b"fail 2"

    def test_counts_on_the_quota(self, settings):
        settings.AGENTPLATFORM_MAX_OWNED_FILE_BYTES = 4

        _, rows = started(writing(make_user(), "tea"))

        assert (rows["write"].error_code, File.objects.count()) == ("FILE_QUOTA_EXCEEDED", 0)

    def test_s25_holds_no_secret(self):
        owner = make_user()
        make_credential(owner, new_secret())
        registry.register(WritesKey)

        started(make_published([NodeSpec("write", WritesKey.id, {"input": 1})], owner=owner))

        contents = {file.name: b"".join(storing.read(file)) for file in File.objects.all()}
        assert contents == {"***.txt": b"key=***", "b.bin": b"\xff\x00***"}


class WritesLess(Block):
    """Writes a file, then another in its next attempt; fails so often; or waits."""

    id = "files.writes-less"
    name = "Write less"
    description = "Writes another file in each attempt."
    placement = Placement.IO
    retry = Retry(attempts=2, delay_s=0.0)
    input_schema, output_schema = AnyInput, AnyOutput
    tries = 0

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Write, and do as told."""
        type(self).tries += 1
        written = await self.write_file(f"{self.tries}.txt", "x", key=f"{self.tries}")
        if input_data.input == "wait":
            await self.wait_for(3600.0)
        elif self.tries <= input_data.input:
            raise BlockError("As it was told.")
        yield "output", written


class TestWhoUsesAFile:
    def test_is_whoever_was_given_it_or_has_read_or_written_it(self):
        owner = make_user()
        file = storing.store([b"x"], owner_id=owner.pk, name="x")
        given, _ = started(reading(owner), {"doc": {"file_id": str(file.pk)}})
        constant = NodeSpec("read", "read-text-file-block", {"file": {"file_id": str(file.pk)}})
        read, _ = started(make_published([constant], owner=owner))
        wrote, _ = started(writing(owner, "tea"))
        client = client_of(owner)

        users = client.get("/api/v1/executions/", {"file": str(file.pk), "page_size": 1}).data

        assert [one["id"] for one in users["results"]] == [str(read.pk)]
        assert [one["id"] for one in client.get(users["next"]).data["results"]] == [str(given.pk)]
        used = {one.pk: client.get(FILES, {"used_by": str(one.pk)}).data["results"] for one in (given, read, wrote)}
        assert {pk: sorted(file["name"] for file in files) for pk, files in used.items()} == {
            given.pk: ["x"],
            read.pk: ["x"],
            wrote.pk: ["a.txt", "b.bin"],
        }
        written = used[wrote.pk][0]["id"]
        assert [one["id"] for one in client.get("/api/v1/executions/", {"file": written}).data["results"]] == [
            str(wrote.pk)
        ]

    def test_is_nobody_elses_business(self):
        owner = make_user()
        file = storing.store([b"x"], owner_id=owner.pk, name="x")
        execution, _ = started(reading(owner), {"doc": {"file_id": str(file.pk)}})
        other = client_of(make_user())

        assert other.get("/api/v1/executions/", {"file": str(file.pk)}).data["results"] == []
        assert other.get(FILES, {"used_by": str(execution.pk)}).data["results"] == []

    def test_is_forgotten_with_the_month_of_the_execution(self):
        owner = make_user()
        file = storing.store([b"x"], owner_id=owner.pk, name="x")
        version = reading(owner)
        old, _ = started(version, {"doc": {"file_id": str(file.pk)}})
        started(version, {"doc": {"file_id": str(file.pk)}})
        assert file_uses.forget_old() == 0

        Execution.objects.filter(pk=old.pk).delete()

        assert (file_uses.forget_old(), FileUse.objects.count()) == (1, 1)


class TestDeletingAFile:
    def test_is_refused_while_an_execution_uses_it_that_has_not_ended(self):
        owner = make_user()
        file = storing.store([b"x"], owner_id=owner.pk, name="x")
        version = reading(owner)
        execution = services.start(version_id=version.pk, owner_id=owner.pk, inputs={"doc": {"file_id": str(file.pk)}})
        client = client_of(owner)

        refused = client.delete(f"{FILES}{file.pk}/")

        assert (refused.status_code, refused.data["code"]) == (409, "FILE_IN_USE")
        assert str(execution.pk) in refused.data["message"]
        assert run(execution)["read"].status == "SUCCEEDED"
        assert client.delete(f"{FILES}{file.pk}/").status_code == 204

    def test_can_be_forced(self):
        owner = make_user()
        file = storing.store([b"x"], owner_id=owner.pk, name="x")
        version = reading(owner)
        execution = services.start(version_id=version.pk, owner_id=owner.pk, inputs={"doc": {"file_id": str(file.pk)}})
        client = client_of(owner)

        answers = [client.delete(f"{FILES}{file.pk}/?force={said}").status_code for said in ("false", "?", "true")]

        assert answers == [409, 400, 204]
        assert run(execution)["read"].error_code == "FILE_GONE"

    def test_leaves_what_has_ended_as_it_is(self):
        owner = make_user()
        execution, _ = started(writing(owner, "tea"))
        file = File.objects.get(name="a.txt")

        storing.delete(file)

        row = NodeExecution.objects.get(execution_id=execution.pk)
        assert row.outputs["output"][0] == {
            "file_id": str(file.pk),
            "name": "a.txt",
            "content_type": "application/octet-stream",
            "size": 5,
        }
        assert [one.pk for one in Execution.objects.filter(pk__in=uses_of(file))] == [execution.pk]

    def test_and_starting_with_it_come_one_after_the_other(self):
        owner = make_user()
        version = reading(owner)

        def race(number: int) -> str:
            try:
                if number % 2:
                    storing.delete(file)
                else:
                    inputs = {"doc": {"file_id": str(file.pk)}}
                    services.start(version_id=version.pk, owner_id=owner.pk, inputs=inputs)
            except AppError as error:
                return error.code
            return "DONE"

        for _ in range(5):
            file = storing.store([b"x"], owner_id=owner.pk, name="x")
            told = at_once(2, race)
            assert told in (["DONE", "FILE_IN_USE"], ["FILE_NOT_FOUND", "DONE"])


class TestWhatIsLeftBehind:
    @pytest.mark.parametrize(("fails", "kept"), [(0, ["1.txt"]), (1, ["2.txt"]), (2, [])])
    def test_is_removed_unless_its_attempt_has_succeeded(self, fails, kept):
        registry.register(WritesLess)
        WritesLess.tries = 0
        started(make_published([NodeSpec("write", WritesLess.id, {"input": fails})], owner=make_user()))

        removed = pruning.prune_files()

        assert (removed, [file.name for file in File.objects.all()]) == (min(fails, 2), kept)
        assert pruning.prune_files() == 0

    def test_is_not_what_a_wait_may_show(self):
        registry.register(WritesLess)
        WritesLess.tries = 0
        execution, rows = started(
            make_published([NodeSpec("write", WritesLess.id, {"input": "wait"})], owner=make_user())
        )
        assert (rows["write"].status, File.objects.get().is_kept) == ("WAITING", True)

        services.cancel(execution)

        assert pruning.prune_files() == 0

    def test_is_not_what_may_still_be_kept(self):
        execution = make_execution(status=Status.RUNNING)
        writer = storing.Writer(execution.pk, key="k")
        storing.store([b"x"], owner_id=execution.owner_id, name="x", writer=writer)

        assert pruning.prune_files() == 0
        Execution.objects.all().delete()
        assert pruning.prune_files() == 1


class TestWhatIsOld:
    def test_goes_if_an_execution_has_written_it_and_none_needs_it(self, settings):
        owner = make_user()
        started(writing(owner, "tea"))
        storing.store([b"x"], owner_id=owner.pk, name="uploaded")
        going = make_execution(status=Status.RUNNING)
        uses.note(going.pk, [File.objects.get(name="b.bin").pk])
        # As if all of them had been written long ago: an id is also the time of birth.
        for file in File.objects.all():
            old = first_id_at(now() - timedelta(days=31)).int + file.pk.int % 2**62
            FileUse.objects.filter(file_id=file.pk).update(file_id=UUID(int=old))
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM files_chunk WHERE file_id = %s", [file.pk])
                cursor.execute("UPDATE files_file SET id = %s WHERE id = %s", [UUID(int=old), file.pk])

        removed = []
        for days in (0, 32, 30):
            settings.AGENTPLATFORM_KEEP_WRITTEN_FILES_DAYS = days
            removed.append(pruning.prune_files())

        assert (removed, sorted(file.name for file in File.objects.all())) == ([0, 0, 1], ["b.bin", "uploaded"])


def test_a_text_that_is_written_can_be_read():
    nodes = [NodeSpec("write", "write-text-file-block", {"text": "grün"}), NodeSpec("read", "read-text-file-block")]

    _, rows = started(make_published(nodes, [LinkSpec("write", "file", "read", "file")], owner=make_user()))

    assert rows["read"].outputs == {"text": ["grün"], "name": ["text.txt"]}


def test_writers_of_one_owner_do_not_pass_the_quota_side_by_side(settings):
    settings.AGENTPLATFORM_MAX_OWNED_FILE_BYTES = 2500
    owner_id = make_user().pk

    def write(number: int) -> bool:
        try:
            storing.store([b"x" * 1000], owner_id=owner_id, name=str(number))
        except FileQuotaExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        kept = list(pool.map(write, range(6)))

    assert (kept.count(True), File.objects.count()) == (2, 2)
