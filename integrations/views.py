"""Where people come back to who were asked to allow a credential something."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from agentplatform.lib.errors import AppError
from integrations import oauth, questions


@never_cache
@require_GET
@staff_member_required
def come_back(request: HttpRequest) -> HttpResponse:
    """Take the answer to the question of this session, which is forgotten with that, whatever the answer is."""
    try:
        credential = oauth.answer(
            questions.take(request),
            user_id=request.user.pk,
            given={name: request.GET.get(name, "") for name in ("code", "state", "error")},
            redirect_uri=questions.callback_address(request),
        )
    except AppError as error:
        messages.error(request, f"{error.message} {error.hint} ({error.code})")
        return redirect("admin:integrations_credential_changelist")
    messages.success(request, f"{credential.name} is connected.")
    return redirect("admin:integrations_credential_change", credential.pk)
