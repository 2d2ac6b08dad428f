"""The helpers of the other acceptance tests do what they say: real workers, a scripted model."""

from __future__ import annotations

import openai
import pytest
import redis
from celery import current_app

from executions import messages
from tests.servers import Answer, database_url, running_worker, scripted_llm, start_worker, wait_until

pytestmark = pytest.mark.slow


@pytest.mark.django_db(transaction=True)
class TestWorker:
    @pytest.mark.parametrize(("queue", "pool"), [("default", "threads"), ("cpu", "prefork")])
    def test_takes_messages_from_the_tests_own_broker(self, queue, pool, redis_url):
        current_app.send_task(messages.TASK, kwargs={"version": 1, "queue": queue, "work": []}, queue=queue)

        with running_worker(queue, pool), redis.Redis.from_url(redis_url) as broker:
            wait_until(lambda: broker.llen(queue) == 0, what="That the message is taken")

    def test_sees_the_tests_own_database(self):
        assert "/test_" in database_url() or "%2Ftest_" in database_url()

    def test_stops_as_an_operator_asks(self):
        worker = start_worker()

        worker.stop()

        assert worker.process.poll() is not None

    def test_leaves_nothing_behind_when_killed(self):
        worker = start_worker("cpu", "prefork")
        children = worker.children

        worker.kill9()

        assert children
        wait_until(lambda: not any(is_alive(pid) for pid in children), what="The end of the children")


class TestScriptedLlm:
    def test_answers_in_the_order_of_the_script_and_counts_tokens(self):
        with scripted_llm(Answer("one"), default=Answer("two", input_tokens=7)) as llm:
            first, second = (ask(llm) for _ in range(2))

        assert first.choices[0].message.content == "one"
        assert (second.choices[0].message.content, second.usage.prompt_tokens) == ("two", 7)
        assert [body["messages"][0]["content"] for body in llm.requests] == ["Say it.", "Say it."]

    def test_fails_as_the_script_says(self):
        with (
            scripted_llm(Answer("slow down", status=429)) as llm,
            pytest.raises(openai.RateLimitError, match="slow down"),
        ):
            ask(llm)


def ask(llm):
    with openai.OpenAI(base_url=llm.url, api_key="test", max_retries=0) as client:
        return client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": "Say it."}])


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False
