"""Making a text out of a template and values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement

MAX_TEMPLATE = 100_000


class FillTemplateInput(BlockSchema):
    template: str = Field(max_length=MAX_TEMPLATE, description="A text with placeholders: `Dear {{ name }}`.")
    values: dict[str, Any] = Field(
        default_factory=dict, description="The values by name. Link `values_#_name` to fill one of them."
    )


class FillTemplateOutput(BlockSchema):
    output: str = Field(description="The text with the values in it.")


class FillTemplateBlock(Block):
    """Fill a template."""

    id = "template-block"
    name = "Template"
    description = "Fills the placeholders of a text. Knows `{{ name }}`, `{{ a.b }}`, if, for and a few filters."
    placement = Placement.INLINE
    input_schema, output_schema = FillTemplateInput, FillTemplateOutput
    always_yields = frozenset({"output"})
    examples = (
        Example(given={"template": "Dear {{ name }},", "values": {"name": "Ann"}}, gives=[("output", "Dear Ann,")]),
        Example(
            given={
                "template": "{% for one in list %}{{ loop.index }}. {{ one.title|upper }}\n{% endfor %}",
                "values": {"list": [{"title": "a"}, {"title": "b"}]},
            },
            gives=[("output", "1. A\n2. B\n")],
        ),
        Example(given={"template": "{0.__class__} {name}"}, gives=[("output", "{0.__class__} {name}")]),
    )

    async def execute(self, input_data: FillTemplateInput) -> AsyncIterator[tuple[str, Any]]:
        # Jinja is slow to import, and most processes that list the blocks never fill a template.
        from blocks.text._template import fill

        yield "output", fill(input_data.template, input_data.values)
