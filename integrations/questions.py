"""What a person was asked to allow, kept in the session of their browser: one question at a time, taken once."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse

from integrations.oauth import Question

KEY = "oauth_question"


def callback_address(request: HttpRequest) -> str:
    """Return the address that people are sent back to; it is registered at the provider."""
    return request.build_absolute_uri(reverse("oauth-callback"))


def keep(request: HttpRequest, question: Question) -> None:
    """Remember what is asked, in place of what was asked before."""
    request.session[KEY] = question.as_kept()


def take(request: HttpRequest) -> Question:
    """Return what was asked, and forget it.

    Raises:
        OAuthRequestInvalid: nothing was.
    """
    kept = request.session.pop(KEY, None)
    # At once: whoever comes with the same answer meanwhile finds nothing any more.
    request.session.save()
    return Question.read(kept)
