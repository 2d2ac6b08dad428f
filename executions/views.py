"""The public address of webhooks: no session and no token, the signature says who sends."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from agentplatform.lib.errors import AppError
from executions import webhooks
from executions.deliveries import Receipt, challenge_of
from executions.errors import PayloadTooLarge
from executions.models import DeliveryStatus

logger = logging.getLogger(__name__)

#: Seconds, for the header Retry-After.
AWAY_S = 5


@csrf_exempt
@require_POST
def receive_webhook(request: HttpRequest, webhook_id: UUID) -> JsonResponse:
    """Take a delivery, and answer once it is written down."""
    try:
        return _answer(webhooks.receive(webhook_id, _headers(request), _body(request)))
    except AppError as error:
        return _problem(error)
    except (OperationalError, InterfaceError) as error:
        logger.warning("A delivery can not be taken, as the database does not answer: %s", error)
        return JsonResponse({"code": "DATABASE_UNAVAILABLE"}, status=503, headers={"Retry-After": str(AWAY_S)})


def _body(request: HttpRequest) -> bytes:
    """Return the bytes as they came.

    Raises:
        PayloadTooLarge: there are too many.
    """
    most = settings.AGENTPLATFORM_MAX_WEBHOOK_BYTES
    length = request.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > most:
        raise PayloadTooLarge
    try:
        body = request.body
    except RequestDataTooBig:
        raise PayloadTooLarge from None
    if len(body) > most:
        raise PayloadTooLarge
    return body


def _headers(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _answer(receipt: Receipt) -> JsonResponse:
    delivery = receipt.delivery
    if receipt.error:
        return _problem(receipt.error)
    if challenge := challenge_of(delivery):
        return JsonResponse({"challenge": challenge})
    if delivery.status == DeliveryStatus.ACCEPTED:
        answer: dict[str, Any] = {"execution_id": str(delivery.execution_id), "status": "queued"}
    elif delivery.status == DeliveryStatus.ANSWERED:
        answer = {"status": "answered"}
    else:
        answer = {"status": "ignored", "reason": delivery.reason}
    answer["delivery_id"] = str(delivery.pk)
    if receipt.is_duplicate:
        return JsonResponse(answer | {"duplicate": True})
    return JsonResponse(answer, status=202)


def _problem(error: AppError) -> JsonResponse:
    problem = {"type": "about:blank", "title": error.message, "status": error.status, **error.as_dict()}
    return JsonResponse(problem, status=error.status, content_type="application/problem+json")
