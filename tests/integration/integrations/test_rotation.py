"""Keys are replaced one after the other, while everything runs, and a lost one is told and concerns nobody else."""

from __future__ import annotations

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from agentplatform.lib import crypto
from agentplatform.lib.crypto import KeyLost, Sealed
from integrations import services
from integrations.models import Credential, Grant
from tests.factories import make_user
from tests.keys import make_credential

pytestmark = pytest.mark.django_db

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture(autouse=True)
def _under_the_old_key(settings):
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [OLD]
    services.forget()


def rotated(*options: str) -> str:
    call_command("rotate_keys", *options, stdout=(said := StringIO()))
    return said.getvalue()


def stored() -> list[str]:
    return [one.secret.text for one in Credential.objects.order_by("pk")]


def test_what_was_kept_under_the_old_key_is_read_while_it_is_there_and_after_it_was_replaced(settings):
    credential = make_credential(make_user(), "sk-0123456789")
    Grant.objects.create(credential=credential, tokens=Sealed({"access_token": "a", "refresh_token": ""}))
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [NEW, OLD]
    assert Credential.objects.get().secret.reveal() == {"api_key": "sk-0123456789"}

    assert rotated().startswith("2 encrypted again")

    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [NEW]
    assert Credential.objects.get().secret.reveal() == {"api_key": "sk-0123456789"}
    assert Grant.objects.get().tokens.reveal()["access_token"] == "a"


def test_the_second_time_there_is_nothing_left_to_do(settings):
    make_credential(make_user())
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [NEW, OLD]
    rotated()
    before = stored()

    assert rotated() == "0 encrypted again, 1 under the newest key already.\n"
    assert stored() == before


def test_a_dry_run_changes_nothing(settings):
    make_credential(make_user())
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [NEW, OLD]
    before = stored()

    assert rotated("--dry-run").startswith("1 would be encrypted again")
    assert stored() == before


def test_what_no_key_reads_is_told_and_the_rest_goes_on(settings):
    owner = make_user()
    lost = make_credential(owner, "sk-lost-0123456789")
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [OTHER]
    kept = make_credential(owner, "sk-kept-0123456789")
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [NEW, OTHER]

    with pytest.raises(CommandError, match=f"integrations_credential:{lost.pk}"):
        rotated()

    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [NEW]
    kept.refresh_from_db()
    assert kept.secret.reveal() == {"api_key": "sk-kept-0123456789"}
    with pytest.raises(KeyLost):
        Credential.objects.get(pk=lost.pk).secret.reveal()


def test_a_lost_key_keeps_nobody_from_using_other_credentials(settings):
    owner = make_user()
    make_credential(owner, provider="github")
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = [NEW]
    services.forget()
    good = make_credential(owner, "sk-good-0123456789")

    opened = services.open_credential(owner_id=owner.pk, provider="openai")

    assert (opened.id, opened.api_key) == (good.pk, "sk-good-0123456789")
    with pytest.raises(KeyLost):
        services.open_credential(owner_id=owner.pk, provider="github")


@pytest.mark.parametrize(
    ("keys", "is_good"),
    [([OLD], True), ([NEW, OLD], True), (["key"], False), ([OLD, "x" * 44], False), ([OLD, OLD], False), ([], False)],
)
def test_keys_that_are_none_are_known_before_they_are_needed(settings, keys, is_good):
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = keys

    assert crypto.are_keys_good() is is_good
