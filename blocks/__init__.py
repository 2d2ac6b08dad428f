"""What a node can do. `BLOCKS` is the whole list, in the order of the palette; a new block is added here."""

from __future__ import annotations

from blocks.basic.give_constant import GiveConstantBlock
from blocks.basic.read_input import ReadInputBlock
from blocks.basic.write_output import WriteOutputBlock
from blocks.code_review.post_comment import PostCommentBlock
from blocks.code_review.read_pull_request import ReadPullRequestBlock
from blocks.code_review.review_change import ReviewChangeBlock
from blocks.data.append_item import AppendItemBlock
from blocks.data.count_items import CountItemsBlock
from blocks.data.dump_json import DumpJsonBlock
from blocks.data.get_item import GetItemBlock
from blocks.data.get_key import GetKeyBlock
from blocks.data.merge_dicts import MergeDictsBlock
from blocks.data.parse_json import ParseJsonBlock
from blocks.data.set_key import SetKeyBlock
from blocks.files.fetch_url import FetchFileBlock
from blocks.files.read_text import ReadTextFileBlock
from blocks.files.write_text import WriteTextFileBlock
from blocks.flow.ask_approval import AskApprovalBlock
from blocks.flow.collect_items import CollectItemsBlock
from blocks.flow.loop_items import LoopBlock
from blocks.flow.loop_while import LoopWhileBlock
from blocks.flow.run_agent import AgentExecutorBlock
from blocks.flow.stream_items import StreamItemsBlock
from blocks.flow.wait_event import WaitEventBlock
from blocks.flow.wait_seconds import WaitSecondsBlock
from blocks.flow.wait_until import WaitUntilBlock
from blocks.http.call_service import CallServiceBlock
from blocks.http.send_request import SendRequestBlock
from blocks.llm.ask_claude import AskClaudeBlock
from blocks.llm.ask_data import AskDataBlock
from blocks.llm.ask_model import AskModelBlock
from blocks.llm.choose_tools import ChooseToolsBlock
from blocks.llm.embed_texts import EmbedTextsBlock
from blocks.llm.summarize_text import SummarizeTextBlock
from blocks.logic.calculate_number import CalculateNumberBlock
from blocks.logic.check_condition import CheckConditionBlock
from blocks.logic.switch_value import SwitchValueBlock
from blocks.mail.send_mail import SendMailBlock
from blocks.research.search_web import SearchWebBlock
from blocks.sdk import Block
from blocks.text.combine_texts import CombineTextsBlock
from blocks.text.fill_template import FillTemplateBlock
from blocks.text.match_regex import MatchRegexBlock
from blocks.text.split_text import SplitTextBlock

BLOCKS: list[type[Block]] = [
    ReadInputBlock,
    WriteOutputBlock,
    GiveConstantBlock,
    FillTemplateBlock,
    SplitTextBlock,
    CombineTextsBlock,
    MatchRegexBlock,
    CheckConditionBlock,
    SwitchValueBlock,
    CalculateNumberBlock,
    StreamItemsBlock,
    CollectItemsBlock,
    WaitSecondsBlock,
    WaitUntilBlock,
    WaitEventBlock,
    AskApprovalBlock,
    AgentExecutorBlock,
    LoopBlock,
    LoopWhileBlock,
    GetItemBlock,
    AppendItemBlock,
    CountItemsBlock,
    GetKeyBlock,
    SetKeyBlock,
    MergeDictsBlock,
    ParseJsonBlock,
    DumpJsonBlock,
    ReadTextFileBlock,
    WriteTextFileBlock,
    FetchFileBlock,
    SendRequestBlock,
    CallServiceBlock,
    SendMailBlock,
    AskModelBlock,
    AskClaudeBlock,
    AskDataBlock,
    ChooseToolsBlock,
    EmbedTextsBlock,
    SummarizeTextBlock,
    SearchWebBlock,
    ReadPullRequestBlock,
    ReviewChangeBlock,
    PostCommentBlock,
]
