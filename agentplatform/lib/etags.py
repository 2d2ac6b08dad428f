"""Edits that do not overwrite each other: each state of a thing has a tag, and who names one changes that state or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import transaction
from django.utils.http import parse_etags
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.viewsets import GenericViewSet

from agentplatform.lib.errors import AppError

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
SHOWING = frozenset({"retrieve", "update", "partial_update"})
CHANGING = frozenset({"update", "partial_update", "destroy"})


class EditedMeanwhile(AppError):
    """It is no longer as it was when you read it."""

    code = "EDITED_MEANWHILE"
    status = 412
    hint = "Read it again, make your change in what it says now, and send that with its ETag."


class Editable(GenericViewSet[Any]):
    """A view of things that several people may edit.

    Its answers carry an `ETag`; an edit with `If-Match` is carried out only if the thing is still as that tag says, compared under its
    lock. A tag has two parts: of what people set, by which an edit is compared, and of what changes by itself, which matters to readers.
    """

    #: The fields that change by themselves: nobody who edits the others would overwrite them.
    by_itself: ClassVar[Collection[str]] = frozenset()

    @contextmanager
    def edited(self) -> Iterator[Any]:
        """Yield the thing that is asked for, to be changed within the `with` block.

        Raises:
            EditedMeanwhile: the request names another state of it.
        """
        asked = self.request.headers.get(IF_MATCH)
        if asked is None:
            yield self.get_object()
            return
        with transaction.atomic(durable=True):
            self._lock(self.get_object())
            # As it is now that nobody else can change it.
            thing = self.get_object()
            if not _names(asked, tag_of(self.get_serializer(thing).data, self.by_itself), by_whole=False):
                raise EditedMeanwhile
            yield thing

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Add the tag of what is shown; show nothing to whoever has it already."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        if self.action in SHOWING and answer.status_code == status.HTTP_200_OK:
            answer["ETag"] = tag = tag_of(answer.data, self.by_itself)
            if self.action == "retrieve" and _names(request.headers.get(IF_NONE_MATCH, ""), tag, by_whole=True):
                answer.data, answer.status_code = None, status.HTTP_304_NOT_MODIFIED
        return answer

    def _lock(self, thing: Any) -> None:
        rows = type(thing)._base_manager.select_for_update(no_key=True)
        list(rows.filter(pk=thing.pk).values_list("pk"))


class Removable(Editable):
    """A view of such things that can be removed, too."""

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Remove it, if it is still as the request says."""
        with self.edited() as thing:
            self.perform_destroy(thing)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def perform_destroy(self, instance: Any) -> None:
        """Remove a thing."""
        raise NotImplementedError


def tag_of(shown: Mapping[str, Any], by_itself: Collection[str]) -> str:
    """Return the tag of a thing as it is shown."""
    parts: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for name, value in shown.items():
        parts[name in by_itself][name] = value
    return '"{}.{}"'.format(*map(_digest, parts))


def _digest(part: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, cls=JSONEncoder).encode()).hexdigest()[:24]


def _names(header: str, tag: str, *, by_whole: bool) -> bool:
    """Say whether a header names a tag, or any. A compressed answer had it as a weak one, which is meant as well."""
    named = [one.removeprefix("W/") for one in parse_etags(header)]
    if by_whole or "*" in named:
        return bool({"*", tag}.intersection(named))
    return _of_edits(tag) in map(_of_edits, named)


def _of_edits(tag: str) -> str:
    return tag.strip('"').partition(".")[0]
