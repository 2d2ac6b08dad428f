"""Try a credential: one harmless question to its provider, as a block would ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from asgiref.sync import sync_to_async

from agentplatform.lib import http, mail
from agentplatform.lib.errors import AppError
from agentplatform.lib.http import Limits
from agentplatform.lib.mail import MailServer
from agentplatform.lib.masking import Mask
from integrations import masks, oauth, providers, services
from integrations.errors import CredentialExpired, CredentialNotFound
from integrations.models import Credential
from integrations.opened import OpenCredential
from integrations.providers import Provider, ProviderName

T = TypeVar("T")
TRYING = Limits(timeout_s=15.0, max_bytes=5 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    is_good: bool
    message: str
    code: str = ""


def try_out(credential: Credential) -> Trial:
    """Ask the provider of a credential something that only a good one gets an answer to."""
    try:
        if credential.revoked_at is not None:
            raise CredentialNotFound("It was revoked.")
        if credential.is_expired:
            raise CredentialExpired
        opened = services.opened(credential)
        asyncio.run(_asked(opened))
    except AppError as error:
        mask = Mask(masks.secrets_in(credential.secret.reveal()) if credential.revoked_at is None else ())
        return Trial(False, mask.text(f"{error.message} {error.hint}".strip()), error.code)
    return Trial(True, "The provider takes it.")


async def _asked(opened: OpenCredential) -> None:
    try:
        if opened.is_stale:
            opened = await oauth.refreshed(opened, _looked_up)
        provider = providers.get(opened.provider)
        if provider.name == ProviderName.SMTP:
            await mail.check(
                MailServer(opened.base_url, opened.username, opened.password, opened.allowed_hosts),
                timeout_s=TRYING.timeout_s,
            )
        else:
            await _asked_over_http(provider, opened)
    finally:
        await http.close()


async def _asked_over_http(provider: Provider, opened: OpenCredential) -> None:
    question = provider.test_request
    if question is None:
        raise TrialFailed(f"There is no harmless question to ask {provider.title}.")
    answer = await http.request(
        question.method,
        (opened.base_url or provider.base_url).rstrip("/") + question.path,
        headers=provider.headers_for(opened),
        limits=TRYING,
        credential_hosts=opened.allowed_hosts,
    )
    if answer.status in (401, 403):
        raise TrialFailed(f"{provider.title} answered {answer.status}: it does not accept the credential.")
    if not answer.is_success:
        raise TrialFailed(f"{provider.title} answered {answer.status}.")
    if question.ok_key:
        said = answer.json()
        if not (isinstance(said, dict) and said.get(question.ok_key)):
            raise TrialFailed(f"{provider.title} does not accept the credential.")


async def _looked_up(look: Callable[[], T]) -> T:
    return await sync_to_async(look)()


class TrialFailed(AppError):
    """The provider does not take it."""

    code = "CREDENTIAL_REFUSED"
    status = 422
    hint = "Check the secret, the address, and what it is allowed to do."
