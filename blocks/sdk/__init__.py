"""All that a block's author imports."""

from blocks.sdk.block import Block
from blocks.sdk.branching import BranchingBlock
from blocks.sdk.context import BlockContext, Credentials
from blocks.sdk.cost import BlockCostConfig
from blocks.sdk.errors import BlockError
from blocks.sdk.example import Example
from blocks.sdk.files import FileContent, FileRef
from blocks.sdk.kinds import BlockType, Effects, Placement
from blocks.sdk.retry import Retry
from blocks.sdk.schema import BlockSchema
from blocks.sdk.usage import Usage
from blocks.sdk.waiting import Approval
from integrations.ratelimit import RateLimiter

__all__ = [
    "Approval",
    "Block",
    "BlockContext",
    "BlockCostConfig",
    "BlockError",
    "BlockSchema",
    "BlockType",
    "BranchingBlock",
    "Credentials",
    "Effects",
    "Example",
    "FileContent",
    "FileRef",
    "Placement",
    "RateLimiter",
    "Retry",
    "Usage",
]
