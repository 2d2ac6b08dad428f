"""What let in somebody who stays for long, and whether it still would."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import get_user_model
from rest_framework.request import Request

from access import keyring
from access.models import ApiKey
from access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Pass:
    """A login, or an API key with what was asked of it."""

    user_id: int
    #: Of the text of a key; empty where it is a login.
    digest: str = ""
    address: str = ""
    scope: str = ""
    graph_id: UUID | None = None


def pass_of(request: Request, *, scope: Scope) -> Pass:
    """Return what has let a request in, which asked for this."""
    assert request.user.pk is not None
    if not isinstance(request.auth, ApiKey):
        return Pass(request.user.pk)
    address = request.META.get("REMOTE_ADDR", "")
    return Pass(request.user.pk, request.auth.found_by, address, scope, request.auth.graph_id)


def still_good(passes: Collection[Pass]) -> set[Pass]:
    """Return those that would let in again, with one look at the keys and one at the users for all of them."""
    keys = keyring.good_keys({one.digest for one in passes if one.digest})
    logins = {one.user_id for one in passes if not one.digest}
    active = get_user_model().objects.filter(pk__in=logins, is_active=True) if logins else ()
    users = {user.pk for user in active}
    return {one for one in passes if (_opens(keys.get(one.digest), one) if one.digest else one.user_id in users)}


def _opens(key: ApiKey | None, one: Pass) -> bool:
    return (
        key is not None
        and one.scope in key.scopes
        # Whose key is for another graph now is judged anew when they come again.
        and one.graph_id == key.graph_id
        and keyring.is_usable_from(key, one.address)
    )
