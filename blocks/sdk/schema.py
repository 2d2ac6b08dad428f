"""Inputs and outputs of blocks are pydantic models; this base is a convenience, any `BaseModel` will do."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class BlockSchema(BaseModel):
    """A strict pydantic base: unknown input pins are refused instead of ignored."""

    model_config = ConfigDict(extra="forbid")
