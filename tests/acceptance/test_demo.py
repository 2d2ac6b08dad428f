"""What a newcomer sees first: the demo reads the shipped documents on a real worker and prints their digest."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions.engine.status import Status
from executions.management import example
from executions.models import Execution
from graphs.models import Graph
from tests.scale import long
from tests.servers import Answer, running_worker, scripted_llm

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def answer_first_words(asked: dict[str, Any]) -> Answer:
    """Repeat how the section begins, as a model that was cut off does."""
    text = asked["messages"][-1]["content"]
    return Answer(f'The most important sentence of this text is: "{" ".join(text.split()[:4])}. And then', delay_s=0.01)


def run_demo(default: Any) -> tuple[str, Any]:
    """Run the demo against a scripted model; return what it printed and the model."""
    printed = io.StringIO()
    with scripted_llm(default=default) as llm:
        environment = {"OPENAI_BASE_URL": llm.url, "OPENAI_API_KEY": "test"}
        with running_worker(extra_env=environment):
            call_command("demo", timeout=60.0, stdout=printed)
    return printed.getvalue(), llm


def test_prints_a_digest_in_the_order_of_the_documents():
    printed, llm = run_demo(answer_first_words)

    execution = Execution.objects.get()
    chapters = [text.splitlines()[0].removeprefix("# ") for text in example.documents()]
    assert execution.status == Status.SUCCEEDED
    assert len(llm.requests) == 16
    assert [line for line in execution.outputs["digest"].splitlines() if line.isupper()] == [
        c.upper() for c in chapters
    ]
    assert "- Arches: An arch turns weight." in execution.outputs["digest"]
    assert execution.outputs["outline"] == [f"{chapter}: 4 sections" for chapter in chapters]
    assert execution.outputs["digest"] in printed
    assert "SUCCEEDED in" in printed
    assert "160 + 80 tokens" in printed
    assert "bin/up" in printed


def test_ends_with_an_error_if_the_model_refuses():
    with pytest.raises(SystemExit) as ended:
        run_demo(Answer("no credit", status=401))

    assert ended.value.code == 1
    assert Execution.objects.get().status == Status.FAILED


@long
def test_does_not_make_the_graph_twice():
    run_demo(Answer("One."))
    run_demo(Answer("One."))

    assert Graph.objects.get().versions.count() == 1


def test_is_for_development_only(settings):
    settings.IS_DEVELOPMENT = False

    with pytest.raises(CommandError, match="for development"):
        call_command("demo")
