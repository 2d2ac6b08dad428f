"""What let in somebody who stays for long: looked at again for all who stay, and cheaply."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from access import keyring
from access.authentication import ApiKeyAuthentication
from access.models import ApiKey
from access.passes import Pass, pass_of, still_good
from access.scopes import Scope
from agentplatform.lib.clock import now
from tests.blocks import node
from tests.factories import make_key, make_published, make_user

pytestmark = pytest.mark.django_db

ADDRESS = "192.0.2.7"


def shown(text: str) -> Pass:
    asked = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {text}"}, REMOTE_ADDR=ADDRESS)
    return pass_of(Request(asked, authenticators=[ApiKeyAuthentication()]), scope=Scope.EXECUTIONS_READ)


def the_key(text: str) -> ApiKey:
    return ApiKey.objects.get(prefix=text[: keyring.SHOWN])


def test_is_good_as_long_as_its_key_opens_what_was_asked():
    text = make_key(make_user(), Scope.EXECUTIONS_READ, networks=["192.0.2.0/24"])

    assert still_good([shown(text)]) == {shown(text)}


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": now()},
        {"expires_at": now() - timedelta(seconds=1)},
        {"networks": ["203.0.113.0/24"]},
        {"scopes": ["graphs:read"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_is_not_good_once_its_key_does_not(change: dict[str, Any]):
    text = make_key(make_user())
    before = shown(text)

    ApiKey.objects.filter(pk=the_key(text).pk).update(**change)

    assert still_good([before]) == set()


def test_is_not_good_once_its_key_is_for_another_graph():
    user = make_user()
    text = make_key(user, Scope.EXECUTIONS_READ)
    before = shown(text)

    ApiKey.objects.update(graph=make_published([node("only", "test.source")], owner=user).graph)

    assert still_good([before]) == set()


def test_is_not_good_once_nobody_may_log_in_with_it():
    user, other = make_user(), make_user()
    before = [shown(make_key(user)), Pass(user.pk), Pass(other.pk)]

    type(user).objects.filter(pk=user.pk).update(is_active=False)

    assert still_good(before) == {Pass(other.pk)}


def test_of_a_key_that_was_replaced_is_good_until_its_text_is_not():
    text = make_key(make_user())
    before, key = shown(text), the_key(text)

    keyring.rotate(key)
    meanwhile = still_good([before])
    ApiKey.objects.update(old_until=now() - timedelta(seconds=1))

    assert (meanwhile, still_good([before])) == ({before}, set())


def test_of_hundreds_are_looked_at_together(django_assert_num_queries):
    one = shown(make_key(make_user()))
    passes = [replace(one, address=f"192.0.2.{number % 256}", digest=one.digest) for number in range(500)]
    passes += [Pass(make_user().pk)]

    with django_assert_num_queries(2):
        assert still_good(passes) == set(passes)
