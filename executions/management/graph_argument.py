"""GRAPH on the command line: an id, a name, or a document."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from graphs import services
from graphs.errors import GraphInvalid, GraphNotFound, OwnerNotFound
from graphs.management.base import read_file
from graphs.models import Graph, GraphVersion

HELP = "an id, a name that only one graph has, or a document (.yaml, .json)"


def as_path(reference: str) -> Path | None:
    """Return the path if `reference` is one of a document."""
    path = Path(reference)
    return path if path.suffix in {".yaml", ".yml", ".json"} else None


def find_owner(name: str | None) -> AbstractBaseUser | None:
    """Return the user with this name; None if none is asked for.

    Raises:
        OwnerNotFound: there is no such user.
    """
    if name is None:
        return None
    users = get_user_model()
    owner = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
    if owner is None:
        raise OwnerNotFound(f"There is no user {name!r}.")
    return owner


def find_version(reference: str, *, owner: AbstractBaseUser | None, number: int | None) -> GraphVersion:
    """Return a published version: the one with this number, else the latest.

    Raises:
        GraphNotFound: there is no such graph or version, or the name belongs to several.
        NotPublished: nothing of the graph is published.
    """
    graph = services.find(reference, among=Graph.objects.owned_by(owner) if owner else None)
    if number is None:
        return services.latest_version(graph)
    version = graph.versions.published().filter(number=number).first()
    if version is None:
        raise GraphNotFound(f"The graph {graph.name!r} has no version {number}.", hint="Leave it out for the latest.")
    return version


def bring_in(path: Path, *, owner: AbstractBaseUser | None) -> GraphVersion:
    """Publish a document as its owner's graph of that name: a new version of it, or none if nothing is new.

    Raises:
        GraphInvalid: it has problems; nothing is stored.
        GraphNotFound: which graph it belongs to can not be told.
        OwnerNotFound: no owner is named, and there is no administrator to take.
    """
    document = read_file(path)
    if problems := services.problems_of(document):
        raise GraphInvalid(problems)
    owner_id = (owner or _administrator()).pk
    named = list(Graph.objects.filter(owner_id=owner_id, name=document.name, is_archived=False).order_by("id")[:10])
    if not named:
        return services.publish(services.create(owner_id=owner_id, document=document))
    if len(named) > 1:
        raise GraphNotFound(
            f"Several graphs are named {document.name!r}, so it can not be told of which this is a version.",
            hint=f"Give the document another name, or the id of one instead of it: {', '.join(str(one.pk) for one in named)}.",
        )
    latest = named[0].versions.published().first()
    if latest is not None and latest.checksum == document.checksum():
        return latest
    if named[0].versions.drafts().exists():
        raise GraphNotFound(
            f"The graph {document.name!r} has a draft, which this document would replace.",
            hint="Publish the draft, or give the document another name.",
        )
    return services.publish(services.save_draft(named[0], document))


def _administrator() -> AbstractBaseUser:
    users = get_user_model()._default_manager
    found = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if found is None:
        raise OwnerNotFound("There is nobody to own the graph.", hint="Name somebody with --owner.")
    return found
