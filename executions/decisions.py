"""What a person can decide about a firing that was cut short and must not be repeated by itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks import registry
from blocks.sdk import BlockError
from executions.errors import AnswerInvalid


class Choice(StrEnum):
    """What becomes of the firing."""

    RUN_AGAIN = "run_again"
    TAKE_OUTPUT = "take_output"
    FAIL = "fail"


class Decision(BaseModel):
    """A person's answer."""

    model_config = ConfigDict(extra="forbid")

    choice: Choice = Field(description="Run it again, take these outputs as its result, or let it fail.")
    outputs: dict[str, list[Any]] = Field(
        default_factory=dict, description="By pin, the values it is taken to have given."
    )


DECISION_FORM = Decision.model_json_schema()


def outputs_decided(block_id: str, answer: Any) -> dict[str, list[Any]] | None:
    """Return the outputs that were given instead of a repetition, or None if the block is to be run again.

    Raises:
        BlockError: the decision was that it failed.
    """
    decision = Decision.model_validate(answer)
    if decision.choice is Choice.FAIL:
        raise BlockError("It was cut short, and a person decided that it failed.", code="INTERRUPTED")
    return decision.outputs if decision.choice is Choice.TAKE_OUTPUT else None


def check(block_id: str, answer: Any) -> dict[str, Any]:
    """Return an answer as it is stored.

    Raises:
        AnswerInvalid: it is no decision, or its outputs do not fit the block.
    """
    try:
        decision = Decision.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise AnswerInvalid(f"{first['msg']}.", path=".".join(map(str, first["loc"]))) from None
    block = registry.get(block_id)
    outputs = {
        pin: [registry.validate_output(block, pin, value) for value in values]
        for pin, values in decision.outputs.items()
    }
    return {"choice": decision.choice, "outputs": outputs}
