"""Whether an answer is what a form asks for. The form's model is known to the worker only; here is its JSON schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import UnknownType, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from executions.errors import AnswerInvalid


def check_filled_in(form: Mapping[str, Any], answer: Any) -> None:
    """Compare an answer with the form.

    Raises:
        AnswerInvalid: it does not fit; the path leads to the first part that is wrong.
    """
    if not form:
        if answer:
            raise AnswerInvalid("There is no form to fill in.", path="answer")
        return
    try:
        error = best_match(_validator(form).iter_errors({} if answer is None else answer))
    except (Unresolvable, UnknownType, RecursionError, re.error) as fault:
        raise AnswerInvalid(
            f"The form itself is not right: {str(fault)[:300]}.", path="answer", hint="This is a fault in the block."
        ) from None
    if error is not None:
        raise AnswerInvalid(_told(error), path=_path(error))


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """Compare a text with a pattern in linear time; what is not understood here is left to the block's model."""
    if isinstance(instance, str):
        try:
            found = re2.compile(pattern, _quietly()).search(instance)
        except re2.error:
            return
        if not found:
            yield ValidationError(f"This does not match {pattern!r}")


def _quietly() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


_Validator = extend(Draft202012Validator, {"pattern": _pattern})


def _validator(form: Mapping[str, Any]) -> Any:
    # A registry of its own: without one, a reference to another address would be fetched.
    return _Validator(form, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def _told(error: ValidationError) -> str:
    """Say what is wrong without repeating a long value."""
    if error.validator == "required":
        missing = next((name for name in error.validator_value if name not in error.instance), "")
        return f"{missing!r} is missing."
    return f"{error.message[:300]}."


def _path(error: ValidationError) -> str:
    return ".".join(map(str, ("answer", *error.absolute_path)))
