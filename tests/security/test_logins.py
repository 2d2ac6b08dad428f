"""S40: passwords are guessed, names are asked for, sessions are planted or kept for too long."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import get_hasher
from django.test import Client

from access import counting, logins
from tests.factories import make_user

pytestmark = pytest.mark.django_db

LOGIN, OVERVIEW, LIST = "/admin/login/", "/admin/", "/admin/executions/execution/"
RIGHT, WRONG = "a long enough password", "another long password"


@pytest.fixture(autouse=True)
def counted(settings: Any, redis_url: str) -> None:
    settings.AGENTPLATFORM_LOGIN_TRIES = 3
    counting.shared.cache_clear()
    redis.Redis.from_url(redis_url).flushdb()


@pytest.fixture
def root() -> Any:
    return get_user_model().objects.create_superuser("root", password=RIGHT)


def log_in(name: str = "root", password: str = RIGHT, *, client: Client | None = None, at: str = "192.0.2.1") -> Any:
    return (client or Client()).post(LOGIN, {"username": name, "password": password, "next": OVERVIEW}, REMOTE_ADDR=at)


def is_in(answer: Any) -> bool:
    return bool(answer.status_code == 302 and answer["Location"] == OVERVIEW)


def said(answer: Any) -> list[str]:
    return list(answer.context["form"].non_field_errors())


def test_whoever_came_for_no_page_in_particular_gets_the_first(root):
    assert is_in(Client().post(LOGIN, {"username": "root", "password": RIGHT}))


class TestGuesses:
    def test_end_with_so_many_even_if_the_next_one_is_right(self, root):
        wrong = [log_in(password=WRONG) for _ in range(3)]

        assert [is_in(one) for one in (*wrong, log_in())] == [False] * 4

    def test_that_are_fewer_are_forgotten_after_the_right_one(self, root):
        answers = [log_in(password=password) for password in (WRONG, WRONG, RIGHT, WRONG, WRONG, RIGHT)]

        assert [is_in(one) for one in answers] == [False, False, True, False, False, True]

    def test_are_taken_again_after_a_while_and_further_ones_do_not_make_it_longer(self, root, redis_url):
        for _ in range(5):
            log_in(password=WRONG)
        store = redis.Redis.from_url(redis_url)
        counters = list(store.keys("logins:*"))
        left = [store.ttl(key) for key in counters]
        for key in counters:
            store.expire(key, 100)
        refused = log_in()
        still = [store.ttl(key) for key in counters]
        for key in counters:
            store.delete(key)

        assert all(0 < ttl <= 900 for ttl in left)
        assert all(ttl <= 100 for ttl in still)
        assert (is_in(refused), is_in(log_in())) == (False, True)

    def test_from_one_address_keep_out_nobody_at_another(self, root):
        for _ in range(5):
            log_in(password=WRONG)

        assert is_in(log_in(at="192.0.2.2"))

    def test_of_many_names_from_one_address_are_counted_together(self, root):
        for number in range(3 * logins.FACTOR):
            logins.may_try(f"name-{number}", "192.0.2.1")

        assert not is_in(log_in())

    def test_of_one_name_from_many_addresses_are_counted_together_but_do_not_keep_out_who_was_known(self, root):
        known = log_in(at="198.51.100.7")
        for number in range(3 * logins.FACTOR):
            logins.may_try("root", f"203.0.113.{number}")

        assert is_in(known)
        assert (is_in(log_in(at="192.0.2.1")), is_in(log_in(at="198.51.100.7"))) == (False, True)

    def test_at_the_same_time_are_no_more_than_in_turn(self):
        with ThreadPoolExecutor(16) as pool:
            looked_at = list(pool.map(lambda _: logins.may_try("root", "192.0.2.1"), range(40)))

        assert sum(looked_at) == 3

    @pytest.mark.parametrize(
        ("one", "other"),
        [("2001:db8::1", "2001:db8::ffff:1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("", "")],
    )
    def test_from_another_spelling_or_another_address_of_the_same_network_are_the_same(self, one, other):
        for _ in range(3):
            logins.may_try("root", one)

        assert not logins.may_try("root", other)

    def test_are_not_counted_while_redis_is_away_and_the_log_says_so(self, root, settings, caplog):
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        counting.shared.cache_clear()

        answers = [is_in(log_in(password=password)) for password in (WRONG, WRONG, WRONG, WRONG, RIGHT)]

        counting.shared.cache_clear()
        assert answers == [False] * 4 + [True]
        assert "Logins are not counted" in caplog.text

    def test_are_counted_at_every_door_that_takes_a_password(self, root):
        tried = [authenticate(None, username="root", password=word) for word in (WRONG, WRONG, WRONG, RIGHT)]

        assert tried == [None] * 4

    def test_may_be_left_to_what_stands_in_front(self, root, settings):
        settings.AGENTPLATFORM_LOGIN_TRIES = 0

        assert [is_in(log_in(password=word)) for word in [WRONG] * 6 + [RIGHT]] == [False] * 6 + [True]


class TestTheAnswer:
    def test_is_one_for_all_that_is_wrong(self, root, settings):
        settings.AGENTPLATFORM_LOGIN_TRIES = 1
        for name in ("no-staff", "gone"):
            user = make_user(name)
            user.set_password(RIGHT)
            user.is_staff, user.is_active = name == "gone", name == "no-staff"
            user.save()

        answers = [log_in(*pair) for pair in (("nobody", RIGHT), ("root", WRONG), ("no-staff", RIGHT), ("gone", RIGHT))]
        locked = [log_in(name) for name in ("nobody", "root")]

        assert len({(one.status_code, *said(one)) for one in (*answers, *locked)}) == 1

    @pytest.mark.parametrize("name", ["root", "nobody"])
    def test_takes_as_long_for_a_name_that_nobody_has(self, root, name, monkeypatch, django_assert_num_queries):
        hasher, hashed = type(get_hasher()), []
        encode = hasher.encode
        monkeypatch.setattr(hasher, "encode", lambda self, *args, **kw: hashed.append(1) or encode(self, *args, **kw))

        with django_assert_num_queries(2):
            authenticate(None, username=name, password=WRONG)

        assert len(hashed) == 1


class TestASession:
    def test_that_was_there_before_is_another_one_after_the_login(self, root):
        client = Client()
        session = client.session
        session["planted"] = "by somebody"
        session.save()
        client.cookies["sessionid"] = session.session_key

        log_in(client=client)

        assert client.session.session_key != session.session_key
        assert not client.session.exists(session.session_key)

    def test_ends_when_the_password_is_changed_elsewhere(self, root):
        here, elsewhere = Client(), Client()
        assert all(is_in(log_in(client=one)) for one in (here, elsewhere))
        words = {"new_password1": "yet another password", "new_password2": "yet another password"}

        changed = here.post("/admin/password_change/", {"old_password": RIGHT, **words})

        assert changed.status_code == 302
        assert [one.get(LIST).status_code for one in (here, elsewhere)] == [200, 302]
        assert elsewhere.get("/api/v1/me/").status_code == 401

    @pytest.mark.parametrize("taken", ["is_superuser", "is_staff", "is_active"])
    def test_keeps_no_right_that_is_taken_away(self, root, taken):
        client = Client()
        log_in(client=client)
        before = client.get(LIST).status_code

        get_user_model().objects.filter(pk=root.pk).update(**{taken: False})

        assert (before, client.get(LIST).status_code) == (200, 403 if taken == "is_superuser" else 302)

    def test_is_no_use_any_more_after_the_logout(self, root):
        client, thief = Client(), Client()
        log_in(client=client)
        thief.cookies["sessionid"] = client.cookies["sessionid"].value

        client.post("/admin/logout/")

        assert thief.get(LIST).status_code == 302


class TestTheLog:
    @pytest.fixture(autouse=True)
    def everything(self, caplog: Any) -> None:
        caplog.set_level(logging.INFO, logger="access.backends")

    def test_has_each_login_and_each_refusal_with_user_and_address(self, root, caplog):
        for word in (RIGHT, WRONG, WRONG, WRONG, RIGHT):
            log_in(password=word)

        lines = [record.getMessage() for record in caplog.records if record.name == "access.backends"]
        refused = f"Login refused, wrong name or password: user {root.pk} from 192.0.2.1"
        assert lines == [
            f"Login: user {root.pk} from 192.0.2.1",
            *[refused] * 3,
            f"Login refused, too many attempts: user {root.pk} from 192.0.2.1",
        ]

    @pytest.mark.parametrize("typed", ["hunter2-typed-as-name", "name\nLogin: user 1 from 10.0.0.1", "\x1b[2J"])
    def test_has_nothing_of_what_was_typed(self, typed, caplog):
        log_in(typed, "hunter2-password")

        assert "no such user" in caplog.text
        assert "hunter2" not in caplog.text
        assert typed not in caplog.text

    def test_of_redis_has_no_names(self, root, redis_url):
        log_in(password=WRONG)

        assert not [key for key in redis.Redis.from_url(redis_url).keys("*") if b"root" in key]
