"""What people call graphs and executions, found on the platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from agentplatform_client import graphs
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError


class NotThere(UsageError):
    """What is named does not exist."""


def find_graph(client: Client, named: str) -> Mapping[str, Any]:
    """Return the graph of this id or name.

    Raises:
        NotThere, NotFound: there is none.
        UsageError: several have the name.
    """
    try:
        graph = client.do(graphs.get(UUID(named)))
    except ValueError:
        found = list(client.each(graphs.find(name=named, is_archived=False)))
    else:
        return cast("Mapping[str, Any]", graph)
    if not found:
        raise NotThere(f"There is no graph that is called {named!r}.")
    if len(found) > 1:
        ids = ", ".join(one["id"] for one in found)
        raise UsageError(f"{len(found)} graphs are called {named!r}: name one by its id ({ids}).")
    return dict(found[0])


def id_of(text: str, of: str = "execution") -> str:
    """Return the id of a thing.

    Raises:
        UsageError: it is none.
    """
    try:
        return str(UUID(text))
    except ValueError:
        article = "an" if of[0] in "aeiou" else "a"
        raise UsageError(f"{text!r} is no id of {article} {of}.") from None
