"""The console's login: one answer for whatever is wrong."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from unfold.forms import AuthenticationForm


class LoginForm(AuthenticationForm):
    """Says what may be wrong, and never what is: not even that there were too many attempts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        answer = "Wrong user name or password, or this user may not use the console. Both mind upper and lower case."
        tries, minutes = settings.AGENTPLATFORM_LOGIN_TRIES, -(-settings.AGENTPLATFORM_LOGIN_WAIT_S // 60)
        if tries:
            answer += f" After {tries} wrong attempts nothing is accepted for {minutes} minutes."
        self.error_messages: dict[str, Any] = {
            **AuthenticationForm.error_messages,
            "invalid_login": answer,
            "inactive": answer,
        }
