"""Asking a service with an HTTP API, as somebody it knows."""

from __future__ import annotations

from blocks.http.send_request import SendRequestBlock
from blocks.sdk import Credentials, Example
from integrations.providers import ProviderName


class CallServiceBlock(SendRequestBlock):
    """Send one HTTP request with the node's credential, which goes to its own hosts only."""

    id = "http-service-block"
    name = "HTTP request with credential"
    description = (
        "Asks a service with your credential for it. The credential is sent to the hosts it names, and nowhere else."
    )
    credentials_required = (ProviderName.HTTP,)
    examples = (
        Example(
            given={"url": "{server}/item"},
            answers=[{"path": "/item", "status": 200, "text": "tea"}],
            gives=[("status", 200), ("headers", ...), ("body", "tea")],
        ),
        Example(
            given={"url": "{server}/item", "method": "DELETE"},
            answers=[{"method": "DELETE", "path": "/item", "status": 204}],
            gives=[("status", 204), ("headers", ...), ("body", "")],
        ),
    )

    async def _credential(self) -> Credentials:
        return await self.get_credentials(ProviderName.HTTP)
