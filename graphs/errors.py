"""Every error of the graphs app, and the problem: one thing that is wrong with a graph, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from agentplatform.lib.errors import AppError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a graph: `path` is where in the document, `node` the key of the node it concerns."""

    code: str
    path: str
    node: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the form doors send."""
        return asdict(self)


class BadPinName(AppError):
    """The pin's name is malformed."""

    code = "BAD_PIN_NAME"
    hint = "Write a pin as `name`, `name_#_key`, `name_$_0` or `name_@_attribute`; the last three may be repeated."


class PinConflict(AppError):
    """A value can not be put into a part of a pin, because the pin holds something else."""

    code = "PIN_CONFLICT"
    hint = "`_#_` and `_@_` need a dict (or nothing) at that place, `_$_` a list (or nothing)."


class DocumentRefused(AppError):
    """The text is not a graph document."""

    code = "BAD_DOCUMENT"
    hint = "Compare it with an exported graph: `GET /graphs/{id}/export/`, or `manage.py export_graph`."


class GraphInvalid(AppError):
    """The graph has problems, each with its place; all of them are listed."""

    code = "GRAPH_INVALID"
    status = 422
    hint = "Every entry of `errors` says where it is and how to solve it."

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        place = f" {self.problems[0].path}" if self.problems and self.problems[0].path else ""
        first = f", first{place}: {self.problems[0].message}" if self.problems else "."
        super().__init__(f"The graph has {count} problem{'' if count == 1 else 's'}{first}")

    @property
    def errors(self) -> list[dict[str, str]]:
        """Return the problems in the form that doors send."""
        return [problem.as_dict() for problem in self.problems]


class GraphNotFound(AppError):
    """There is no such graph."""

    code = "GRAPH_NOT_FOUND"
    status = 404
    hint = "Give the id of one of your graphs, or its name if no other graph has the same one."


class OwnerNotFound(AppError):
    """There is no such user to own the graph."""

    code = "OWNER_NOT_FOUND"
    hint = "Give the id (in code) or the name (on the command line) of an existing user."


class NothingToPublish(AppError):
    """The graph has no draft and was never published."""

    code = "NOTHING_TO_PUBLISH"
    status = 409
    hint = "Save a draft first."


class NotPublished(AppError):
    """The graph has no published version."""

    code = "GRAPH_NOT_PUBLISHED"
    status = 409
    hint = "Publish it first: only published versions are executed."


class GraphArchived(AppError):
    """The graph was put away."""

    code = "GRAPH_ARCHIVED"
    status = 409
    hint = "Take it back first: in the console, on the page of the graph."


class TemplateNotFound(AppError):
    """There is no such template."""

    code = "TEMPLATE_NOT_FOUND"
    status = 404
