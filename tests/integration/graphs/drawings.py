"""The smallest users, documents and graphs that the tests of this folder need."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from agentplatform.lib.ids import uuid7
from graphs import services
from graphs.documents import GraphModel
from graphs.models import Graph


def make_user(name: str = "", **fields: Any) -> User:
    return User.objects.create_user(username=name or f"user-{uuid7()}", password="secret", **fields)


amake_user = sync_to_async(make_user)


def document(**changes: Any) -> GraphModel:
    """Return a graph that hands an input on through a template."""
    return GraphModel.model_validate(data(**changes))


def data(**changes: Any) -> dict[str, Any]:
    greeting = {"values": {"b": 1, "a": [1, {"z": None, "y": 0.5}]}, "template": "Dear {{ name }},\nhello"}
    whole: dict[str, Any] = {
        "name": "Greeting",
        "description": "Says hello",
        "nodes": [
            {"id": "who", "block_id": "input-block", "inputs": {"name": "who"}, "position": {"x": 0, "y": 0}},
            {
                "id": "greet",
                "block_id": "template-block",
                "title": "Greet",
                "inputs": greeting,
                "on_error": "continue",
                "position": {"x": 200.5, "y": -3},
                "metadata": {"color": "red"},
            },
            {"id": "end", "block_id": "output-block", "position": {"x": 400, "y": 0}},
        ],
        "links": [
            {
                "source_id": "who",
                "source_name": "output",
                "sink_id": "greet",
                "sink_name": "values_#_name",
                "is_static": True,
            },
            {"source_id": "greet", "source_name": "output", "sink_id": "end", "sink_name": "input"},
        ],
    }
    return whole | changes


def make_graph(owner: User | None = None, **changes: Any) -> Graph:
    return services.create(owner_id=(owner or make_user()).pk, document=document(**changes))


def make_published(owner: User | None = None, **changes: Any) -> Graph:
    graph = make_graph(owner, **changes)
    services.publish(graph)
    return graph
