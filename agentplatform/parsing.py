"""How the API reads what it is sent. Named in settings, so that nobody imports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import JSONParser
from rest_framework.utils.mediatypes import _MediaType

from agentplatform.lib import strict_json

#: Deeper is nothing that anybody means.
MAX_DEPTH = 100


class StrictJsonParser(JSONParser):
    """Reads JSON that can be stored and means one thing."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the data of a body.

        Raises:
            JsonRefused: it is something else.
        """
        charset = _MediaType(media_type or "").params.get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(str(media_type))
        return strict_json.parse(stream.read(), max_depth=MAX_DEPTH)
