"""What a browser may load and run of our pages, said with every answer."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

HEADER = "Content-Security-Policy"
CONSOLE = "/admin/"
#: Of what is no page: nothing of it is run, or shown within another one.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#: Of a page everything is ours, and no script stands in it. Styles do: unfold writes its colours and some sizes so.
PAGE = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: Alpine, by which unfold's pages work, makes functions of their attributes.
OF_ALPINE = " 'unsafe-eval'"


class PolicyMiddleware(MiddlewareMixin):
    """Adds the policy."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the answer with the policy of its kind."""
        if not response.get("Content-Type", "").startswith("text/html"):
            response[HEADER] = NOTHING
        else:
            response[HEADER] = PAGE.format(scripts=OF_ALPINE if request.path.startswith(CONSOLE) else "")
        return response
