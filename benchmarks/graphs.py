"""The measured graphs as documents of ours."""

from __future__ import annotations

from benchmarks.cases import FIBO_N, Case, Work
from graphs.documents import GraphModel, LinkModel, NodeModel

RESULT = "result"


def document_of(case: Case, *, sub_graph: str = "") -> GraphModel:
    """Return the graph of a case; its output `result` is what the case expects. A loop runs a sub-graph for each item."""
    graph = GraphModel(name=case.name)
    if case.shape == "loop":
        last, pin = _loop(graph, case, sub_graph), "output"
    elif case.shape in ("chain", "resume"):
        last, pin = _chain(graph, case), "output"
    else:
        last, pin = (_stream(graph, case) if _is_stream(case) else _branches(graph, case)), "count"
    graph.nodes.append(NodeModel(id="out", block_id="output-block", inputs={"name": RESULT}))
    _link(graph, last, pin, "out", "input")
    return graph


def sub_graph_of(case: Case) -> GraphModel:
    """Return the graph that a loop runs for each item."""
    graph = GraphModel(name=f"{case.name} item")
    graph.nodes.append(NodeModel(id="item", block_id="input-block", inputs={"name": "item"}))
    graph.nodes.append(_node("work", case))
    graph.nodes.append(NodeModel(id="out", block_id="output-block", inputs={"name": RESULT}))
    _link(graph, "item", "output", "work", "input")
    _link(graph, "work", "output", "out", "input")
    return graph


def last_of(case: Case) -> str:
    """Return the last node of a chain."""
    return f"n{case.size - 1}"


def _is_stream(case: Case) -> bool:
    return case.shape == "fan" and not case.static_nodes


def _chain(graph: GraphModel, case: Case) -> str:
    graph.nodes.extend(_node(f"n{number}", case) for number in range(case.size))
    for number in range(1, case.size):
        _link(graph, f"n{number - 1}", "output", f"n{number}", "input")
    return last_of(case)


def _stream(graph: GraphModel, case: Case) -> str:
    """One node that fires for each item of a stream."""
    graph.nodes.append(NodeModel(id="items", block_id="bench.items", inputs={"count": case.size}))
    graph.nodes.append(_node("branch", case))
    graph.nodes.append(NodeModel(id="join", block_id="bench.join"))
    _link(graph, "items", "item", "branch", "input")
    _link(graph, "branch", "output", "join", "item")
    return "join"


def _loop(graph: GraphModel, case: Case, sub_graph: str) -> str:
    """One node that runs a graph for each item, and one that counts the results."""
    constants = {"items": list(range(case.size)), "subgraph_id": sub_graph}
    graph.nodes.append(NodeModel(id="loop", block_id="loop-block", inputs=constants))
    graph.nodes.append(NodeModel(id="count", block_id="list-length-block"))
    _link(graph, "loop", "results", "count", "items")
    return "count"


def _branches(graph: GraphModel, case: Case) -> str:
    """A node for each branch; a diamond has three."""
    graph.nodes.append(NodeModel(id="source", block_id="bench.noop"))
    graph.nodes.append(NodeModel(id="join", block_id="bench.join"))
    for number in range(case.size):
        graph.nodes.append(_node(f"branch{number}", case))
        _link(graph, "source", "output", f"branch{number}", "input")
        _link(graph, f"branch{number}", "output", "join", "item")
    return "join"


def _node(key: str, case: Case) -> NodeModel:
    constants: dict[Work, dict[str, int | float]] = {
        "noop": {},
        "fibo": {"n": FIBO_N},
        "wait": {"seconds": case.wait_s},
    }
    return NodeModel(id=key, block_id=f"bench.{case.work}", inputs=constants[case.work])


def _link(graph: GraphModel, source: str, source_pin: str, sink: str, sink_pin: str) -> None:
    graph.links.append(LinkModel(source_id=source, source_name=source_pin, sink_id=sink, sink_name=sink_pin))
