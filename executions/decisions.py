"""What a person can decide about a firing that was cut short and must not be repeated by itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks import registry
from blocks.sdk import BlockError
from blocks.sdk.waiting import form_of
from executions.errors import AnswerInvalid


class Choice(StrEnum):
    """What becomes of the firing."""

    RUN_AGAIN = "run_again"
    TAKE_OUTPUT = "take_output"
    FAIL = "fail"


class Decision(BaseModel):
    """What a person makes of a firing that was cut short."""

    model_config = ConfigDict(extra="forbid")

    choice: Choice = Field(
        title="What becomes of it", description="Run it again, take these outputs as its result, or let it fail."
    )
    outputs: dict[str, list[Any]] = Field(
        default_factory=dict,
        title="Its outputs",
        description='To be taken as its result: by pin, the list of the values it is taken to have given, such as `{"output": ["sent"]}`.',
    )


DECISION_FORM = form_of(Decision)


def outputs_decided(answer: Any) -> dict[str, list[Any]] | None:
    """Return the outputs that were given instead of a repetition, or None if the block is to be run again.

    Raises:
        BlockError: the decision was that it failed.
    """
    decision = Decision.model_validate(answer)
    if decision.choice is Choice.FAIL:
        raise BlockError("It was cut short, and a person decided that it failed.", code="INTERRUPTED")
    return decision.outputs if decision.choice is Choice.TAKE_OUTPUT else None


def check(block_id: str, answer: Any) -> dict[str, Any]:
    """Return a decision as it is stored.

    Raises:
        AnswerInvalid: it is no decision, or its outputs do not fit the block.
    """
    try:
        decision = Decision.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise AnswerInvalid(f"{first['msg']}.", path=_path(*first["loc"])) from None
    if decision.outputs and decision.choice is not Choice.TAKE_OUTPUT:
        raise AnswerInvalid("Outputs are given only where they are to be taken.", path=_path("outputs"))
    outputs = {pin: [_fitting(block_id, pin, value) for value in values] for pin, values in decision.outputs.items()}
    return {"choice": decision.choice, "outputs": outputs}


def _fitting(block_id: str, pin: str, value: Any) -> Any:
    try:
        return registry.validate_output(registry.get(block_id), pin, value)
    except registry.OutputInvalid as error:
        raise AnswerInvalid(error.message, path=_path("outputs", pin)) from None


def _path(*place: Any) -> str:
    return ".".join(map(str, ("answer", *place)))
