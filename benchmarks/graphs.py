"""The measured graphs as documents of ours."""

from __future__ import annotations

from benchmarks.cases import FIBO_N, WAIT_S, Case, Work
from graphs.documents import GraphModel, LinkModel, NodeModel

RESULT = "result"


def document_of(case: Case) -> GraphModel:
    """Return the graph of a case; its output `result` is what the case expects."""
    graph = GraphModel(name=case.name)
    if case.shape == "chain":
        last, pin = _chain(graph, case), "output"
    else:
        last, pin = (_stream(graph, case) if _is_stream(case) else _branches(graph, case)), "count"
    graph.nodes.append(NodeModel(id="out", block_id="output-block", inputs={"name": RESULT}))
    _link(graph, last, pin, "out", "input")
    return graph


def _is_stream(case: Case) -> bool:
    return case.shape == "fan" and not case.static_nodes


def _chain(graph: GraphModel, case: Case) -> str:
    graph.nodes.extend(_node(f"n{number}", case.work) for number in range(case.size))
    for number in range(1, case.size):
        _link(graph, f"n{number - 1}", "output", f"n{number}", "input")
    return f"n{case.size - 1}"


def _stream(graph: GraphModel, case: Case) -> str:
    """One node that fires for each item of a stream."""
    graph.nodes.append(NodeModel(id="items", block_id="bench.items", inputs={"count": case.size}))
    graph.nodes.append(_node("branch", case.work))
    graph.nodes.append(NodeModel(id="join", block_id="bench.join"))
    _link(graph, "items", "item", "branch", "input")
    _link(graph, "branch", "output", "join", "item")
    return "join"


def _branches(graph: GraphModel, case: Case) -> str:
    """A node for each branch; a diamond has three."""
    graph.nodes.append(_node("source", "noop"))
    graph.nodes.append(NodeModel(id="join", block_id="bench.join"))
    for number in range(case.size):
        graph.nodes.append(_node(f"branch{number}", case.work))
        _link(graph, "source", "output", f"branch{number}", "input")
        _link(graph, f"branch{number}", "output", "join", "item")
    return "join"


def _node(key: str, work: Work) -> NodeModel:
    constants: dict[Work, dict[str, int | float]] = {"noop": {}, "fibo": {"n": FIBO_N}, "wait": {"seconds": WAIT_S}}
    return NodeModel(id=key, block_id=f"bench.{work}", inputs=constants[work])


def _link(graph: GraphModel, source: str, source_pin: str, sink: str, sink_pin: str) -> None:
    graph.links.append(LinkModel(source_id=source, source_name=source_pin, sink_id=sink, sink_name=sink_pin))
