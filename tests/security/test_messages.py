"""S29: whoever writes to the broker can make a worker do nothing but what is stored to be done."""

from __future__ import annotations

import json
import os
import pickle
from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import current_app
from django.conf import settings

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import messages, services
from executions.engine.status import Status
from executions.models import Execution, NodeExecution
from tests.blocks import node
from tests.factories import make_execution, make_published, make_user
from tests.servers import running_worker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Touches:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def send(
    broker: redis.Redis, body: bytes, *, task: Any = messages.TASK, kind: str = "application/json", **headers: Any
) -> None:
    """Put a message into the queue as it is, past every check that a sender would make."""
    id_ = str(uuid4())
    properties = {"correlation_id": id_, "delivery_mode": 2, "delivery_tag": id_, "body_encoding": "base64"}
    properties |= {"delivery_info": {"exchange": "", "routing_key": "default"}, "priority": 0}
    content = {
        "body": b64encode(body).decode(),
        "content-encoding": "utf-8" if kind == "application/json" else "binary",
        "content-type": kind,
        "headers": {"lang": "py", "task": task, "id": id_, "root_id": id_, **headers},
        "properties": properties,
    }
    broker.lpush("default", json.dumps(content))


def asking(**kwargs: Any) -> bytes:
    return json.dumps([[], kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()


def of(execution: Execution, *lane: Any) -> bytes:
    return asking(version=messages.VERSION, queue="default", work=[[str(execution.pk), *lane]])


@pytest.mark.slow
def test_a_worker_does_what_is_stored_and_nothing_that_a_message_says(redis_url, tmp_path):
    ours = make_published([node("only", "test.source")])
    ended, cancelled = (make_execution(ours, status=one) for one in (Status.SUCCEEDED, Status.CANCELLED))
    paused = make_execution(ours, is_paused=True, launched_at=now())
    touched, before = tmp_path / "touched", list(Execution.objects.order_by("id").values())
    yaml = f"!!python/object/apply:os.system ['touch {touched}']".encode()
    broker = redis.Redis.from_url(redis_url)

    with running_worker(extra_env={"AGENTPLATFORM_EXTRA_BLOCKS": "tests.blocks:TEST_BLOCKS"}) as worker:
        send(broker, pickle.dumps(Touches(touched)), kind="application/x-python-serialize")
        send(broker, yaml, kind="application/x-yaml")
        for garbage in (b"", b"\xff\xfe", b"{", b"null", b"[]", b"{}", b'{"body": 1, "properties": {}}', b"[" * 5000):
            broker.lpush("default", garbage)
        send(broker, pickle.dumps(Touches(touched)), kind="application/data")
        for task in ("os.system", "subprocess.Popen", "", None, 7, ["a"], "executions.tasks.os.system", "__import__"):
            send(broker, json.dumps([[f"touch {touched}"], {}, {}]).encode(), task=task)
        for body in (b"", b"null", b"{", b"[]", b'"x"', b"\xff", b"[" * 5000, asking(), asking(version="x", work="y")):
            send(broker, body)
        send(broker, asking(version=10**9, work=[["x"]]))
        send(broker, asking(version=1, work=[[f"$(touch {touched})", "0", "", None]]))
        send(broker, asking(version=1, queue="default", work=[[str(uuid7()), "0", "", None]], unheard_of={"a": 1}))
        for row in (ended, cancelled, paused):
            send(broker, of(row, "0", "", None))
        for lane in (
            ["99999", "", None],
            ["0", "0-999999999", None],
            ["-1", "", None],
            ["0", "", [0, -5, 10**12]],
            [0, 1, 2],
        ):
            send(broker, of(ended, *lane))
        send(broker, of(ended, "0", "", None), errbacks=[{"task": "os.system"}], timelimit=["x", {}], eta="never")
        wait_until(lambda: not broker.llen("default"), within_s=60, what="Taking all of them")

        real = services.start(version_id=ours.pk, owner_id=ours.graph.owner_id)
        wait_until(lambda: Execution.objects.get(pk=real.pk).is_final, within_s=60, what="A real one's end")
        log = worker.output()
        assert worker.process.poll() is None

    assert Execution.objects.get(pk=real.pk).status == Status.SUCCEEDED
    assert not touched.exists()
    assert list(Execution.objects.exclude(pk=real.pk).order_by("id").values()) == before
    assert not NodeExecution.objects.exclude(execution_id=real.pk).exists()
    assert "Refusing to deserialize" in log


def test_a_message_opens_nothing_of_another_owner():
    """It names an execution and lanes of it: whose that is, with which inputs and keys, stands in the row."""
    version = make_published([node("only", "test.source")])
    execution = make_execution(version)

    (work,) = messages.read(
        version=1, queue="default", work=[[str(execution.pk), "0", "", None]], owner_id=make_user().pk, inputs={"a": 1}
    )

    assert list(type(work).__slots__) == ["execution_id", "lane"]


@pytest.mark.parametrize("module", ["os", "posix", "subprocess", "builtins"])
def test_an_error_in_a_result_is_never_called(tmp_path, module):
    """CVE-2021-23727: what a result calls an exception was looked up and called."""
    touched, id_ = tmp_path / "touched", str(uuid4())
    name = {"subprocess": "getoutput", "builtins": "eval"}.get(module, "system")
    said = f"open({str(touched)!r}, 'w')" if module == "builtins" else f"touch {touched}"
    result = {"exc_type": name, "exc_module": module, "exc_message": [said]}
    stored = {"status": "FAILURE", "result": result, "traceback": None, "children": [], "task_id": id_}
    redis.Redis.from_url(settings.REDIS_URL).set(f"celery-task-meta-{id_}", json.dumps(stored), ex=60)

    with pytest.raises(Exception, match=r".*"):
        current_app.AsyncResult(id_).get(timeout=5, propagate=True)

    assert not touched.exists()


def test_only_json_is_taken_and_sent():
    assert (current_app.conf.accept_content, current_app.conf.result_accept_content) == (["json"], None)
    assert (current_app.conf.task_serializer, current_app.conf.result_serializer) == ("json", "json")


def test_every_task_that_a_message_can_name_is_known_here():
    current_app.loader.import_default_modules()

    ours = {name for name in current_app.tasks if not name.startswith("celery.")}

    assert ours == {messages.TASK}
