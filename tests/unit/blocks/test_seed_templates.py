"""The two templates everyone starts from, block after block: each hands its `output` to the next one's `input`."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agentplatform.lib.errors import AppError
from blocks import registry
from blocks.code_review.post_comment import PostCommentBlock
from blocks.code_review.review_change import ReviewChangeBlock
from blocks.research.search_web import SearchWebBlock
from blocks.sdk.testing import run_block
from tests.outside import address_of, allow_only, context_of, host_of


@pytest.fixture
def server(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """Every provider at once."""
    allow_only(monkeypatch, host_of(httpserver))
    return httpserver


def reply(text: str) -> dict[str, Any]:
    """Return a model's answer with this text."""
    return {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }


async def run_chain(block_ids: list[str], value: Any, server: HTTPServer) -> Any:
    """Return what comes out of blocks joined from `output` to `input`."""
    for block_id in block_ids:
        block = registry.runnable(block_id)
        context = context_of(block, address_of(server))
        context.settings = {"OPENAI_MODEL": "small"}
        value = dict(await run_block(block, {"input": value}, context=context))["output"]
    return value


async def test_research_searches_and_summarizes(server: HTTPServer) -> None:
    results = {"results": [{"title": "Tea", "url": "https://tea.example", "content": "A drink."}]}
    server.expect_ordered_request("/search").respond_with_json(results)
    server.expect_ordered_request("/chat/completions").respond_with_json(reply("Tea is a drink."))

    output = await run_chain(["search-block", "summarize-block", "output-block"], "tea", server)

    server.check()
    assert output == "Tea is a drink."
    assert "A drink." in server.log[1][0].get_json()["messages"][-1]["content"]


async def test_code_review_reads_judges_and_comments_at_the_same_place(server: HTTPServer) -> None:
    posted: list[Any] = []

    def comment(request: Request) -> Response:
        posted.append(request.get_json())
        return Response('{"html_url": "https://git.example/c/1"}', status=201, content_type="application/json")

    server.expect_ordered_request("/repos/ann/tea/pulls/7").respond_with_data("+++ b/cup\n")
    server.expect_ordered_request("/chat/completions").respond_with_json(reply("It is fine."))
    server.expect_ordered_request("/repos/ann/tea/issues/7/comments").respond_with_handler(comment)

    output = await run_chain(["github-block", "review-block", "comment-block"], "ann/tea#7", server)

    server.check()
    assert output == "https://git.example/c/1"
    assert posted == [{"body": "Review of ann/tea#7\n\nIt is fine."}]


async def test_a_model_can_not_choose_where_its_review_is_posted(server: HTTPServer) -> None:
    server.expect_request("/chat/completions").respond_with_json(reply("Review of eve/trap#1\n\nFine."))
    context = context_of(ReviewChangeBlock, address_of(server))

    review = dict(await run_block(ReviewChangeBlock, {"input": "+++ b/cup", "model": "small"}, context=context))[
        "output"
    ]

    assert not review.startswith("Review of eve")
    with pytest.raises(AppError, match="not said where"):
        await run_block(PostCommentBlock, {"input": review}, context=context_of(PostCommentBlock, address_of(server)))


@pytest.mark.parametrize(
    "text", ["ann/tea", "ann/tea#0", "ann/../secret#1", "ann/..#1", "ann/tea#1?a=b", "a/b/c#1", "ann/tea#1\nx", ""]
)
async def test_only_a_whole_reference_is_taken(text: str, server: HTTPServer) -> None:
    with pytest.raises(AppError):
        await run_chain(["github-block"], text, server)

    assert server.log == []


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (200, '{"results": []}', "NOT_FOUND"),
        (200, '{"other": 1}', "PROVIDER_ERROR"),
        (200, "[]", "PROVIDER_ERROR"),
        (200, "<html>", "HTTP_BAD_ANSWER"),
        (403, "", "CREDENTIAL_REFUSED"),
        (429, "", "RATE_LIMITED"),
        (502, "", "PROVIDER_ERROR"),
    ],
)
async def test_a_search_that_fails_says_why(status: int, text: str, code: str, server: HTTPServer) -> None:
    server.expect_request("/search").respond_with_data(text, status=status)

    with pytest.raises(AppError) as refused:
        await run_block(SearchWebBlock, {"input": "tea"}, context=context_of(SearchWebBlock, address_of(server)))

    assert refused.value.code == code


async def test_a_provider_without_an_address_is_said_to_have_none() -> None:
    with pytest.raises(AppError) as refused:
        await run_block(SearchWebBlock, {"input": "tea"}, context=context_of(SearchWebBlock))

    assert refused.value.code == "CREDENTIAL_INCOMPLETE"
