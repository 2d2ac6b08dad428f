"""Credentials as users keep them, and blocks that ask with them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from django.contrib.auth.models import AbstractUser, Group

from blocks.sdk import Block, BlockCostConfig, Placement
from executions.engine.compile import Lane, runnable
from executions.engine.spec import NodeSpec
from executions.messages import Work
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from executions.runner import run_lanes
from graphs.models import GraphVersion
from integrations import services
from integrations.models import Credential
from integrations.providers import ProviderName
from tests.blocks import AnyInput, AnyOutput, facts_of
from tests.factories import make_execution, make_published

_numbers = count(1)


class TellsKey(Block):
    """Tells which key it was handed, without telling it."""

    id = "keys.tells"
    name = "Tell the key"
    description = "Asks nobody."
    placement = Placement.IO
    credentials_required = (ProviderName.OPENAI,)
    cost_config = BlockCostConfig("run", 0.5)
    input_schema, output_schema = AnyInput, AnyOutput

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Yield a mark of the key."""
        credentials = await self.get_credentials(ProviderName.OPENAI)
        self.report_usage(input_tokens=3, model="m")
        yield "output", mark(credentials.api_key)


class TellsOtherKey(TellsKey):
    id = "keys.tells-github"
    credentials_required = (ProviderName.GITHUB,)

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Yield a mark of the key."""
        yield "output", mark((await self.get_credentials(ProviderName.GITHUB)).api_key)


KEYED: list[type[Block]] = [TellsKey, TellsOtherKey]


def mark(secret: str) -> str:
    """Return what tells a secret from others."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def new_secret() -> str:
    """Return a secret that no other test has."""
    return f"sk-CANARY-{next(_numbers):04}+/%&{hashlib.sha256(str(next(_numbers)).encode()).hexdigest()[:8]}"


def make_credential(owner: AbstractUser, secret: str = "", **fields: Any) -> Credential:
    """Return a stored API key of `owner`."""
    given = {"provider": "openai", "kind": "api_key", "name": f"key-{next(_numbers)}"} | fields
    parts = given.pop("parts", {"api_key": secret or new_secret()})
    return services.add(owner_id=owner.pk, secret=parts, **given)


def make_group(*members: AbstractUser) -> Group:
    """Return a new group of these users."""
    group = Group.objects.create(name=f"group-{next(_numbers)}")
    group.user_set.set(members)
    return group


def asking(key: str, block: type[Block] = TellsKey, *, uses: Credential | None = None) -> NodeSpec:
    """Return a node that asks, with a credential if it names one."""
    named = {str(block.credentials_required[0]): uses.pk} if uses else {}
    return NodeSpec(key, block.id, {"input": 1}, block=facts_of(block), credentials=named)


def ran_with(owner: AbstractUser, *nodes: NodeSpec) -> tuple[Execution, dict[str, NodeExecution]]:
    """Run a graph of these nodes to its end in this process, also where the doors would have refused to start it."""
    return ran_version(make_published(nodes, owner=owner))


def ran_version(version: GraphVersion) -> tuple[Execution, dict[str, NodeExecution]]:
    """Run a version to its end in this process."""
    execution = make_execution(version)
    rows = run(execution)
    return execution, rows


def run(execution: Execution) -> dict[str, NodeExecution]:
    """Run an execution in this process, as far as it goes."""
    plan, done = plan_of(execution.version_id), -1
    while len(execution.segments_done) > done and not execution.is_final:
        done = len(execution.segments_done)
        run_lanes([Work(execution.pk, Lane("default", tuple(runnable(plan, execution.segments_done))))])
        execution.refresh_from_db()
    return {row.node_key: row for row in NodeExecution.objects.filter(execution=execution)}
