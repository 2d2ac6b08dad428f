"""A form of the console made from the JSON schema of an answer: a field where a person can fill one in, JSON where not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput, JSONString
from django.utils.html import escape
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from executions.models import Wait
from executions.waits import MAX_COMMENT, UNCHANGED, Reply

#: Fields of the console itself; those of the form have a prefix, whatever their names.
PREFIX = "answer-"
LONG_TEXT = 200
YES_OR_NO = [("true", "Yes"), ("false", "No")]


class AnswerForm(forms.Form):
    """The answer to one wait."""

    def __init__(self, wait: Wait, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wait = wait
        self.properties = _properties(wait.form)
        for name, schema in self.properties.items():
            field = _field(name, schema, wait.form)
            # Whether something is missing is said by the form's schema: who rejects need not fill it in.
            field.required = False
            self.fields[PREFIX + name] = field
        if wait.is_editable:
            self.fields["data"] = _data_field(wait.data)
        self.fields["comment"] = forms.CharField(
            required=False, max_length=MAX_COMMENT, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2})
        )

    def reply(self, approved: bool | None) -> Reply:
        """Return what the person answers. Only after the form was found valid."""
        given = {name: self.cleaned_data[PREFIX + name] for name in self.properties}
        filled_in = {name: value for name, value in given.items() if value not in (None, "")}
        edited = self.cleaned_data["data"] if self.wait.is_editable and approved else UNCHANGED
        is_needed = approved is not False and bool(self.wait.form)
        return Reply(
            approved=approved,
            answer=_whole(filled_in) if is_needed else None,
            data=UNCHANGED if edited == self.wait.data else edited,
            comment=self.cleaned_data["comment"],
        )

    def blame(self, path: str, message: str) -> None:
        """Show what is wrong with the answer, at its field if it has one."""
        place, _, rest = path.partition(".")
        name = PREFIX + rest.partition(".")[0] if place == "answer" else place
        self.add_error(name if name in self.fields else None, message)


#: The one field of a form that is no object.
WHOLE = ""


def _whole(filled_in: dict[str, Any]) -> Any:
    return filled_in.get(WHOLE, filled_in)


def _properties(form: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    if not form:
        return {}
    properties = form.get("properties")
    if not (isinstance(properties, dict) and properties):
        return {WHOLE: {**form, "title": "Answer"}}
    names = [name for name in form.get("x-order", ()) if name in properties]
    return {name: properties[name] for name in [*names, *sorted(properties.keys() - set(names))]}


def _field(name: str, schema: Mapping[str, Any], form: Mapping[str, Any]) -> forms.Field:
    plain = _plain(schema, form)
    told: dict[str, Any] = {
        "label": f"{schema.get('title') or name}{' *' if name in form.get('required', ()) else ''}",
        # The console's template takes help for markup.
        "help_text": escape(schema.get("description", "")),
        "initial": schema.get("default"),
    }
    if "enum" in plain:
        return _choice([(value, _shown(value)) for value in plain["enum"]], **told)
    match plain.get("type"):
        case "boolean":
            told["initial"] = str(told["initial"]).lower()
            return _choice(YES_OR_NO, coerce=lambda chosen: chosen == "true", **told)
        case "integer":
            return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget(), **told)
        case "number":
            return forms.FloatField(widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}), **told)
        case "string":
            return _text_field(plain, told)
    return json_field(**told)


def _text_field(schema: Mapping[str, Any], told: dict[str, Any]) -> forms.Field:
    match schema.get("format"):
        case "date":
            return DateTextField(widget=UnfoldAdminSingleDateWidget(), **told)
        case "email":
            return forms.CharField(widget=UnfoldAdminEmailInputWidget(), **told)
    if schema.get("maxLength", 0) > LONG_TEXT:
        return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}), strip=False, **told)
    return forms.CharField(widget=UnfoldAdminTextInputWidget(), strip=False, **told)


class DateTextField(forms.DateField):
    """A date, as JSON has it."""

    def clean(self, value: Any) -> Any:
        """Return the date as text."""
        day = super().clean(value)
        return day.isoformat() if day else None


def _choice(choices: list[tuple[Any, str]], *, coerce: Any = None, **told: Any) -> forms.Field:
    # A choice comes back as text: the value it stands for is looked up.
    by_text = {str(value): value for value, _ in choices}
    return forms.TypedChoiceField(
        choices=[("", "–"), *((str(value), shown) for value, shown in choices)],
        coerce=coerce or by_text.get,
        empty_value=None,
        widget=UnfoldAdminSelectWidget(),
        **told,
    )


def _data_field(data: Any) -> forms.Field:
    if isinstance(data, str):
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 8})
        return UnixTextField(label="Data", required=False, strip=False, initial=data, widget=widget)
    return json_field(label="Data", required=False, initial=data)


class UnixTextField(forms.CharField):
    """A text whose lines end as they did before a browser had it."""

    def to_python(self, value: Any) -> Any:
        """Return the text."""
        return str(super().to_python(value)).replace("\r\n", "\n")


def json_field(**told: Any) -> forms.Field:
    """Return a field that a person fills in with JSON."""
    told["help_text"] = f"{told.get('help_text', '')} Written as JSON.".strip()
    return PrettyJsonField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"}), **told)


class PrettyJsonField(forms.JSONField):
    """JSON as people read it."""

    default_error_messages = {"invalid": 'This is no JSON. A text is written in quotes: "like this".'}

    def to_python(self, value: Any) -> Any:
        """Return the value."""
        try:
            found = super().to_python(value)
        except (RecursionError, ValueError):
            # Nested too deep, or a number of thousands of digits.
            raise forms.ValidationError("This JSON can not be read.", code="unreadable") from None
        # Django marks a text that was JSON by a class of its own, which is stored nowhere.
        return str(found) if isinstance(found, JSONString) else found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed, as it was typed."""
        return InvalidJSONInput(data or "")

    def prepare_value(self, value: Any) -> Any:
        """Return the text that is edited."""
        if value is None:
            return ""
        is_text = isinstance(value, InvalidJSONInput)
        return super().prepare_value(value) if is_text else json.dumps(value, indent=2, ensure_ascii=False)


def _plain(schema: Mapping[str, Any], form: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema without references, and without the null that says that it may be left out."""
    for _ in range(8):
        if "$ref" in schema:
            schema = form.get("$defs", {}).get(str(schema["$ref"]).rpartition("/")[2], {})
        others = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
        if len(others) != 1:
            break
        schema = others[0]
    return schema


def _shown(value: Any) -> str:
    text = str(value)
    return text.replace("_", " ").capitalize() if text.islower() else text
