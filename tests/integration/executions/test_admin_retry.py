"""The console's page to go on from an ended execution: shown first, started with one button, refused where it can not be."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from blocks import registry
from blocks.sdk import Block, BlockCostConfig, Effects, Placement
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.models import Execution, NodeExecution
from graphs import services as graph_services
from graphs.documents import GraphModel, store
from tests.blocks import AnyInput, AnyOutput, facts_of, node
from tests.factories import make_execution, make_node_execution, make_published

pytestmark = pytest.mark.django_db

HOSTILE = "</script><img src=x onerror=alert(1)>"


class Sender(Block):
    """Tells the world, which must not be told twice."""

    id = "console.sender"
    name = "Send"
    description = "Sends."
    placement = Placement.IO
    effects = Effects.AT_MOST_ONCE
    cost_config = BlockCostConfig("run", 0.5)
    input_schema, output_schema = AnyInput, AnyOutput

    async def execute(self, input_data: AnyInput) -> Any:
        """Hand on what was sent."""
        yield "output", input_data.input


@pytest.fixture(autouse=True)
def sender() -> None:
    registry.register(Sender)


@pytest.fixture
def console() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def make_ended(name: str = "number", **fields: Any) -> Execution:
    """Return a failed execution of an input, a node that stands, one that failed and acts on the world, and an output."""
    version = make_published(
        [
            node("given", "test.input", name=name),
            node("kept", "test.echo"),
            NodeSpec("sent", Sender.id, block=facts_of(Sender)),
            node("result", "test.output", name="result"),
        ],
        [
            LinkSpec("given", "output", "kept", "input"),
            LinkSpec("kept", "output", "sent", "input"),
            LinkSpec("sent", "output", "result", "input"),
        ],
    )
    value = fields.pop("value", 7)
    fields = {"status": Status.FAILED, "inputs": {name: value}, "error_code": "BOOM"} | fields
    execution = make_execution(version, **fields)
    make_node_execution(execution, "given", inputs={"name": name, "value": value}, outputs={"output": [value]})
    make_node_execution(execution, "kept", inputs={"input": value}, outputs={"output": [value]})
    status = NodeStatus.FAILED if fields["status"] == Status.FAILED else NodeStatus.SUCCEEDED
    make_node_execution(
        execution,
        "sent",
        status=status,
        inputs={"input": value},
        outputs={"output": [value]},
        cost_microcredits=500_000,
    )
    if status is NodeStatus.SUCCEEDED:
        make_node_execution(execution, "result", inputs={"name": "result", "input": value}, outputs={"output": [value]})
    return execution


def address(execution: Execution) -> str:
    return reverse("admin:executions_execution_retry", args=[execution.pk])


def looked_at(console: Client, execution: Execution, **query: str) -> str:
    response = console.get(address(execution), query)
    assert response.status_code == 200
    return str(response.content.decode())


def sent(console: Client, execution: Execution, **fields: str) -> Any:
    return console.post(address(execution), fields)


def start_form(text: str) -> dict[str, str]:
    """Return what the button of a page would send."""
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)
    return {unescape(name): unescape(value) for name, value in hidden if name != "csrfmiddlewaretoken"}


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the table of what would be done: by node, what stands, what runs, and its cost."""
    rows = re.findall(r"<tr class=\"border-t[^>]*>(.*?)</tr>", text, re.S)
    cells = [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)]
        for row in rows
    ]
    return {row[0]: row[1:] for row in cells}


class TestShowsFirst:
    def test_what_stands_what_runs_what_it_costs_and_what_acts_on_the_world(self, console):
        text = looked_at(console, make_ended())

        assert rows_of(text) == {
            "given": ["1", "", ""],
            "kept": ["1", "", ""],
            "sent at most once": ["", "1", ""],
            "result": ["", "as it comes", ""],
        }
        assert "1 node acts on the outside world again: sent" in text

    def test_and_starts_nothing(self, console):
        looked_at(console, make_ended())

        assert Execution.objects.count() == 1

    def test_one_node_and_all_that_follows(self, console):
        ended = make_ended(status=Status.SUCCEEDED, error_code="")

        text = looked_at(console, ended, mode="from_node", node="sent")

        assert rows_of(text)["kept"] == ["1", "", ""]
        assert rows_of(text)["sent at most once"] == ["", "1", "$0.50"]

    def test_all_of_it_where_nothing_failed(self, console):
        text = looked_at(console, make_ended(status=Status.SUCCEEDED, error_code=""))

        assert [row[0] for row in rows_of(text).values()] == ["", "", "", ""]

    def test_with_other_inputs(self, console):
        text = sent(console, make_ended(), mode="inputs", **{"input-number": "8"}).content.decode()

        assert rows_of(text)["kept"] == ["", "as it comes", ""]
        assert "other inputs" in text

    def test_says_that_it_was_done_before_and_that_a_sub_graph_stands_alone(self, console):
        ended = make_ended(parent_id=make_execution().pk, parent_node="only", depth=1)
        make_execution(ended.version, retried_from_id=ended.pk)

        text = looked_at(console, ended)

        assert "gone on from 1 time before" in text
        assert "will not hear of it" in text


class TestStarts:
    def test_what_was_shown_and_leads_there(self, console):
        ended = make_ended()

        response = sent(console, ended, **start_form(looked_at(console, ended)))

        new = Execution.objects.get(retried_from_id=ended.pk)
        assert response.url == reverse("admin:executions_execution_change", args=[new.pk])
        assert (new.owner_id, new.inputs) == (ended.owner_id, ended.inputs)
        origins = dict(NodeExecution.objects.filter(execution=new).values_list("node_key", "origin_id"))
        assert origins == {"given": ended.pk, "kept": ended.pk}
        assert LogEntry.objects.get().object_id == str(ended.pk)

    @pytest.mark.parametrize("value", [{"a": "b\nc"}, "a text", None, [1, 2.5, True], 10**30])
    def test_with_the_inputs_that_were_shown(self, console, value):
        ended = make_ended()
        asked = {"mode": "inputs", "input-number": json.dumps(value)}

        sent(console, ended, **start_form(sent(console, ended, **asked).content.decode()))

        assert Execution.objects.get(retried_from_id=ended.pk).inputs == {"number": value}

    def test_once_however_often_the_button_is_pressed(self, console):
        ended = make_ended()
        form = start_form(looked_at(console, ended))
        sent(console, ended, **form)

        again = sent(console, ended, **form)

        assert "Something has changed since you looked" in again.content.decode()
        assert Execution.objects.filter(retried_from_id=ended.pk).count() == 1

    def test_nothing_without_having_shown_it(self, console):
        sent(console, make_ended(), mode="failed")

        assert Execution.objects.count() == 1


class TestRefuses:
    @pytest.mark.parametrize(
        ("fields", "field", "told"),
        [
            ({"mode": "inputs", "input-number": "{"}, "input-number", "This is no JSON."),
            ({"mode": "inputs", "input-number": "[" * 100_000}, "input-number", "This JSON can not be read."),
            ({"mode": "inputs", "input-number": "9" * 5000}, "input-number", "This JSON can not be read."),
            ({"mode": "inputs", "input-number": '"\\u0000"'}, "input-number", "Null characters"),
            ({"mode": "inputs", "input-number": '"\\ud800"'}, "input-number", "half a surrogate pair"),
            ({"mode": "inputs", "input-number": ""}, "input-number", "is missing"),
            ({"mode": "from_node"}, "node", "Choose the node"),
            ({"mode": "from_node", "node": "other"}, "node", "not one of the available choices"),
            ({"mode": "all"}, "mode", "not one of the available choices"),
            ({"version": "newest"}, "version", "not one of the available choices"),
        ],
    )
    def test_what_is_wrong_at_its_field(self, console, fields, field, told):
        response = sent(console, make_ended(), **fields)

        assert response.status_code == 200
        assert told in str(response.context["form"].errors[field])
        assert "Start it" not in response.content.decode()

    def test_to_run_nothing(self, console):
        ended = make_ended(status=Status.SUCCEEDED, error_code="")

        assert "Nothing would run" in sent(console, ended, mode="failed").content.decode()

    def test_what_has_not_ended(self, console):
        going = make_execution(status=Status.RUNNING)

        response = console.get(address(going), follow=True)

        assert "It has not ended yet" in response.content.decode()

    def test_what_does_not_exist(self, console):
        assert console.get(address(make_execution()).replace("0", "1")).status_code == 404

    @pytest.mark.parametrize("permissions", [[], ["view_execution"], ["change_execution"]])
    def test_those_who_may_not(self, permissions):
        ended = make_ended()
        staff = get_user_model().objects.create_user("staff", is_staff=True)
        staff.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(staff)

        codes = {client.get(address(ended)).status_code, sent(client, ended, mode="failed").status_code}

        # Who may change may look.
        assert codes == ({200} if "change_execution" in permissions else {403})

    def test_a_form_from_elsewhere(self):
        ended = make_ended()
        client = Client(enforce_csrf_checks=True)
        client.force_login(get_user_model().objects.create_superuser("root"))

        assert sent(client, ended, mode="failed").status_code == 403


class TestVersions:
    def test_offers_the_newest_and_names_inputs_that_only_it_has(self, console):
        ended = make_ended()
        add_input(ended, "extra")

        same = looked_at(console, ended)
        missing = sent(console, ended, mode="failed", version="newest")
        given = sent(console, ended, mode="failed", version="newest", **{"input-extra": "1"})

        assert "The newest: version 2" in same
        assert "is missing" in str(missing.context["form"].errors["input-extra"])
        new = sent(console, ended, **start_form(given.content.decode()))
        assert new.status_code == 302
        assert Execution.objects.get(retried_from_id=ended.pk).inputs == {"number": 7, "extra": 1}

    def test_does_not_start_another_version_than_was_shown(self, console):
        ended = make_ended()
        add_input(ended, "extra")
        form = start_form(sent(console, ended, version="newest", **{"input-extra": "1"}).content.decode())
        add_input(ended, "more")

        response = sent(console, ended, **form, **{"input-more": "1"})

        assert "Something has changed since you looked" in response.content.decode()
        assert not Execution.objects.filter(retried_from_id=ended.pk).exists()


def add_input(execution: Execution, name: str) -> None:
    """Publish a version of its graph that has an input more."""
    document = GraphModel.load(graph_services.latest_version(execution.graph))
    one = document.nodes[0]
    more = one.model_copy(update={"id": name, "inputs": {"name": name}})
    document.nodes = [*document.nodes, more]
    graph_services.publish(store(document))


def test_nothing_that_users_wrote_is_markup(console):
    ended = make_ended(name=HOSTILE, value=HOSTILE)

    shown = [
        looked_at(console, ended),
        sent(console, ended, mode=HOSTILE, node=HOSTILE).content.decode(),
        sent(console, ended, mode="inputs", **{f"input-{HOSTILE}": HOSTILE}).content.decode(),
        sent(console, ended, mode="inputs", **{f"input-{HOSTILE}": json.dumps(HOSTILE + "\0")}).content.decode(),
        looked_at(console, ended, mode=HOSTILE, node=HOSTILE, version=HOSTILE),
    ]

    assert all("&lt;img src=x" in text and "<img src=x" not in text for text in shown)


def test_a_value_too_long_for_the_page_stays_as_it_is(console):
    ended = make_ended(value="x" * 100_000)

    text = looked_at(console, ended)
    sent(console, ended, **start_form(text))

    assert "is too long to be shown here" in text
    assert len(text) < 100_000
    assert Execution.objects.get(retried_from_id=ended.pk).inputs == ended.inputs


def test_many_firings_ask_as_little_as_one(console, django_assert_max_num_queries):
    ended = make_ended()
    for number in range(30):
        make_node_execution(ended, "sent", item_path=[number], status=NodeStatus.FAILED)
    looked_at(console, ended)

    with django_assert_max_num_queries(22):
        looked_at(console, ended)
