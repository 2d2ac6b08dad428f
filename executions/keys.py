"""The credentials of a plan: there before anything of it runs, and whose they are."""

from __future__ import annotations

from collections.abc import Collection

from agentplatform.lib.errors import AppError
from blocks import registry
from executions.engine.plan import Plan, PlanNode
from executions.errors import CredentialsMissing
from graphs.errors import Problem
from graphs.named import needs_of
from integrations import services as credentials


def refuse_missing(plan: Plan, owner_id: int, *, only: Collection[str] | None = None) -> None:
    """See to it that the nodes of a plan, or only some, find their credentials: nothing runs before that is so.

    Raises:
        CredentialsMissing: with everything that is missing, and where.
    """
    needs = needs_of([(node.key, node) for node in plan.nodes if only is None or node.key in only], owner_id=owner_id)
    missing = [
        Problem(
            need.lacking.code,
            f"nodes.{need.node}.credentials.{need.provider}",
            need.node,
            need.lacking.message,
            need.lacking.hint,
        )
        for need in needs
        if need.lacking
    ]
    if missing:
        raise CredentialsMissing(missing)


def is_own_key(node: PlanNode, owner_id: int) -> bool:
    """Say whether a node asks providers with keys of its owner only, who then pays them and nothing here."""
    try:
        asked = registry.get(node.block_id).credentials_required
    except AppError:
        return False
    return bool(asked) and credentials.uses_own_key(owner_id=owner_id, providers=asked, credential_ids=node.credentials)
