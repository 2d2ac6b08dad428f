"""Reports of errors to Sentry, where the operator wants them: without secrets, and through the one door."""

from __future__ import annotations

import asyncio
import logging
import os
from queue import Full, Queue
from threading import Thread
from time import monotonic, sleep
from typing import Any

import sentry_sdk
from sentry_sdk.consts import EndpointType
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from agentplatform.lib import http, masking
from agentplatform.lib.credential_hosts import hosts_of
from agentplatform.lib.errors import AppError
from agentplatform.lib.http import Limits

#: So many reports wait to be sent; what comes while Sentry is away is dropped.
MOST_WAITING = 100
SENDING = Limits(timeout_s=10.0, max_bytes=256 * 1024, max_redirects=0)
LOOK_S = 0.02

logger = logging.getLogger(__name__)


def start(dsn: str, *, environment: str) -> None:
    """Report what is logged as an error from now on. Values of local variables, and what was requested, are not a part of it."""
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        transport=DoorTransport,
        before_send=masked,
        before_breadcrumb=masked,
        include_local_variables=False,
        send_default_pii=False,
        max_request_body_size="never",
        auto_session_tracking=False,
    )


def masked(event: Any, hint: Any) -> Any:
    """Return what is reported without the secrets that this process has opened."""
    return masking.outside(event)


class DoorTransport(Transport):
    """Sends reports from a thread of its own, to places that may be asked."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        assert self.parsed_dsn is not None
        self._auth = self.parsed_dsn.to_auth("agentplatform")
        self._pid = 0
        self._reports: Queue[bytes] = Queue(MOST_WAITING)

    def capture_envelope(self, envelope: Envelope) -> None:
        """Have a report sent; it is dropped where too many wait."""
        if self._pid != os.getpid():
            # No thread lives through a fork.
            self._pid, self._reports = os.getpid(), Queue(MOST_WAITING)
            Thread(target=self._send_all, args=(self._reports,), name="reports", daemon=True).start()
        try:
            self._reports.put_nowait(envelope.serialize())
        except Full:
            logger.warning("A report is dropped: %s wait to be sent.", MOST_WAITING)

    def flush(self, timeout: float, callback: Any = None) -> None:
        """Wait until all is sent, so long at most."""
        deadline = monotonic() + timeout
        while self._reports.unfinished_tasks and self._pid == os.getpid() and monotonic() < deadline:
            sleep(LOOK_S)

    def _send_all(self, reports: Queue[bytes]) -> None:
        while True:
            report = reports.get()
            try:
                asyncio.run(self._send(report))
            except AppError as error:
                # A warning, which is not reported in turn.
                logger.warning("Sentry can not be told: %s", error.message)
            finally:
                reports.task_done()

    async def _send(self, report: bytes) -> None:
        url = str(self._auth.get_api_url(EndpointType.ENVELOPE))
        headers = {"X-Sentry-Auth": str(self._auth.to_header()), "Content-Type": "application/x-sentry-envelope"}
        try:
            answer = await http.request(
                "POST", url, headers=headers, body=report, limits=SENDING, credential_hosts=hosts_of(url)
            )
        finally:
            await http.close()
        if not answer.is_success:
            logger.warning("Sentry answered %s.", answer.status)
