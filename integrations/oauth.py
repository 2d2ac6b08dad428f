"""OAuth 2: somebody allows a credential to act for them, and its tokens are replaced before they end, once among all workers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass, replace
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeVar
from uuid import UUID

from agentplatform.lib import egress, http
from agentplatform.lib.clock import now
from agentplatform.lib.credential_hosts import hosts_of
from agentplatform.lib.errors import AppError
from agentplatform.lib.http import Limits
from agentplatform.lib.http_errors import CredentialHostForbidden, HeaderForbidden, HttpNotConnected, UrlForbidden
from integrations import grants
from integrations.errors import CredentialNotFound
from integrations.grants import Turn, client_of
from integrations.models import Credential
from integrations.oauth_errors import CredentialRefreshBusy, OAuthBusy, OAuthRefused, OAuthRequestInvalid
from integrations.oauth_wire import Client, Tokens, tokens_of
from integrations.opened import OpenCredential

logger = logging.getLogger(__name__)
T = TypeVar("T")
#: Less than a lease, so that whoever shows a refresh token knows what came of it before others give up on it.
ASKING = Limits(timeout_s=20.0, max_bytes=256 * 1024, max_redirects=0)
#: So long whoever needs a token waits for the one who is getting it.
PATIENCE_S = 25.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5
#: A question is good for so long.
QUESTION_S = 600.0
#: Before the provider was asked, or where it has said that it did nothing.
UNUSED = (OAuthBusy, HttpNotConnected, UrlForbidden, CredentialHostForbidden, HeaderForbidden)

#: Refreshes under way: they go on when the firing that began them is stopped, as their answer must not be lost.
_under_way: set[asyncio.Task[Any]] = set()


class LookUp(Protocol):
    """Runs a function that talks to the database, off the event loop; no connection is held between two."""

    def __call__(self, look: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody is asked to allow, until they come back: kept in their session, and good once."""

    credential_id: str
    user_id: str
    state: str
    verifier: str
    asked_at: float

    def as_kept(self) -> dict[str, Any]:
        """Return the form that a session holds."""
        return asdict(self)

    @classmethod
    def read(cls, kept: Any) -> Question:
        """Return what a session holds.

        Raises:
            OAuthRequestInvalid: it holds none.
        """
        try:
            return cls(**kept)
        except TypeError:
            raise OAuthRequestInvalid from None


def ask(credential: Credential, *, user_id: Any, redirect_uri: str) -> tuple[str, Question]:
    """Return where somebody is sent to allow a credential, and the question to be kept until they come back.

    Raises:
        OAuthNotPossible: nobody can be asked for this one.
    """
    client = client_of(credential)
    question = Question(
        str(credential.pk), str(user_id), secrets.token_urlsafe(32), secrets.token_urlsafe(64), now().timestamp()
    )
    url = client.permission_url(redirect_uri=redirect_uri, state=question.state, verifier=question.verifier)
    return url, question


def answer(question: Question, *, user_id: Any, given: dict[str, str], redirect_uri: str) -> Credential:
    """Take what somebody came back with, and keep the tokens it is exchanged for. The caller has forgotten the question before.

    Raises:
        OAuthRequestInvalid: it does not answer this question, or comes from somebody else, or too late.
        OAuthRefused, OAuthBusy, OAuthNotPossible: as they say.
        AppError: the provider could not be asked.
    """
    is_answer = secrets.compare_digest(question.state.encode(), given.get("state", "").encode())
    is_late = not 0 <= now().timestamp() - question.asked_at <= QUESTION_S
    if not is_answer or is_late or question.user_id != str(user_id):
        raise OAuthRequestInvalid
    if given.get("error") or not given.get("code"):
        raise OAuthRefused("It was not allowed.")
    credential = Credential.objects.filter(pk=UUID(question.credential_id)).first()
    if credential is None:
        raise CredentialNotFound
    client = client_of(credential)
    body = client.exchange(code=given["code"], redirect_uri=redirect_uri, verifier=question.verifier)
    grants.connect(credential.pk, asyncio.run(_asked_alone(client, body)))
    return credential


async def refreshed(credential: OpenCredential, look_up: LookUp) -> OpenCredential:
    """Return a credential with a token that does not end within a minute.

    Raises:
        CredentialNotConnected: nobody has allowed anything.
        CredentialRefreshFailed: it has to be connected again.
        CredentialRefreshBusy: it can not be had just now.
    """
    assert credential.id is not None
    return replace(credential, access_token=await _token(credential.id, look_up), is_stale=False)


async def _token(credential_id: UUID, look_up: LookUp) -> str:
    deadline, pause_s = monotonic() + PATIENCE_S, SHORTEST_PAUSE_S
    while True:
        found = await look_up(partial(grants.look, credential_id))
        if isinstance(found, str):
            return found
        try:
            if found is not None:
                if token := await _finished(_use(found, look_up)):
                    return token
                continue
            if monotonic() > deadline:
                raise CredentialRefreshBusy("Somebody else is getting a new token.")
        except CredentialRefreshBusy:
            if left := await look_up(partial(grants.still_good, credential_id)):
                return left
            raise
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def _finished(use: Coroutine[Any, Any, str]) -> str:
    """Use a turn to its end, also if whoever began it is stopped meanwhile."""
    task = asyncio.create_task(use)
    _under_way.add(task)
    task.add_done_callback(_ended)
    return await asyncio.shield(task)


def _ended(task: asyncio.Task[str]) -> None:
    _under_way.discard(task)
    # Whoever began it may not be there any more to take its error.
    if not task.cancelled() and (error := task.exception()) and not isinstance(error, AppError):
        logger.error("A refresh broke off", exc_info=error)


async def _use(turn: Turn, look_up: LookUp) -> str:
    """Show the refresh token, store what comes, and return it; nothing where that does not count, and what does has to be looked up.

    Raises:
        CredentialRefreshBusy: the token was not used up.
    """
    try:
        tokens = await _asked(turn.client, turn.client.refresh(turn.refresh_token))
    except OAuthRefused as refused:
        await look_up(partial(grants.fail, turn, refused.message))
        return ""
    except UNUSED as unused:
        await look_up(partial(grants.give_back, turn))
        raise CredentialRefreshBusy(unused.message) from None
    except AppError as lost:
        if turn.may_be_shown_again:
            await look_up(partial(grants.give_back, turn))
            raise CredentialRefreshBusy(lost.message) from None
        await look_up(partial(grants.fail, turn, grants.LOST))
        return ""
    is_stored = await look_up(partial(grants.store, turn, tokens))
    return tokens.access_token if is_stored else ""


async def _asked(client: Client, body: bytes) -> Tokens:
    at = now()
    # It is the platform that asks, and not the graph for whose firing it does.
    with egress.only(()):
        answered = await http.request(
            "POST",
            client.token_url,
            headers=client.headers(),
            body=body,
            limits=ASKING,
            credential_hosts=hosts_of(client.token_url),
        )
    return tokens_of(answered, at=at)


async def _asked_alone(client: Client, body: bytes) -> Tokens:
    try:
        return await _asked(client, body)
    finally:
        await http.close()
