"""The console's form of a credential: its secret is typed in, and never sent back."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from agentplatform.lib.errors import AppError
from integrations import services
from integrations.models import Credential
from integrations.providers import ALL, AuthKind

#: As people read them, and in which order they are filled in.
LABELS = {
    "api_key": "API key",
    "username": "User name",
    "password": "Password",
    "client_id": "Client id",
    "client_secret": "Client secret",
    "authorize_url": "Authorize URL",
    "token_url": "Token URL",
    "scopes": "Scopes",
    "headers": "Headers",
}
#: The same of kinds.
KIND_TITLES: dict[str, str] = {
    AuthKind.API_KEY: "API key",
    AuthKind.USER_PASSWORD: "User name and password",
    AuthKind.OAUTH2: "OAuth 2",
    AuthKind.HOST_HEADERS: "Headers for hosts",
}
_ORDER = list(LABELS)
#: By kind, the parts of its secret that the form asks for.
PARTS = {
    kind: (*sorted(needed, key=_ORDER.index), *sorted(possible, key=_ORDER.index))
    for kind, (needed, possible) in services.PARTS.items()
}
SECRET_FIELDS = tuple(dict.fromkeys(name for names in PARTS.values() for name in names))
LIMITS = ("max_concurrent", "rate_per_second")
IN_THE_OPEN = frozenset({"username", "client_id", "authorize_url", "token_url", "scopes"})


def _secret_field(name: str) -> forms.CharField:
    kinds = ", ".join(KIND_TITLES[kind] for kind, names in PARTS.items() if name in names)
    options: dict[str, Any] = {"required": False, "help_text": f"For the kind: {kinds}."}
    options |= {"label": LABELS[name], "strip": name != "password"}
    if name == "headers":
        hint = f"For the kind: {kinds}. One a line: `Name: value`. They are not shown again."
        return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), **options | {"help_text": hint})
    widget = UnfoldAdminTextInputWidget if name in IN_THE_OPEN else UnfoldAdminPasswordWidget
    return forms.CharField(widget=widget(attrs={"autocomplete": "off"}), **options)


class _CredentialForm(forms.ModelForm):
    fieldsets: ClassVar[Any] = ()

    name = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget())
    base_url = forms.CharField(
        required=False,
        label="Address",
        help_text="Empty: the provider's usual one.",
        widget=UnfoldAdminTextInputWidget(),
    )
    hosts = forms.CharField(
        required=False,
        label="Allowed hosts",
        help_text="`host` or `host:port`, separated by spaces. Empty: its address, or the provider's hosts.",
        widget=UnfoldAdminTextInputWidget(),
    )
    group = forms.ModelChoiceField(
        Group.objects.order_by("name"),
        required=False,
        help_text="Whose graphs may use it too; a group of its owner's.",
        widget=UnfoldAdminSelectWidget(),
    )
    max_concurrent = forms.IntegerField(
        required=False,
        label="So many at once",
        help_text="Over all workers. Empty: as its provider says.",
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    rate_per_second = forms.FloatField(
        required=False,
        label="So many a second",
        help_text="By all workers together; 0.5 is one every two seconds. Empty: as its provider says.",
        widget=UnfoldAdminDecimalFieldWidget(),
    )
    expires_at = forms.SplitDateTimeField(required=False, label="Ends", widget=UnfoldAdminSplitDateTimeWidget())

    class Meta:
        model = Credential
        fields: ClassVar[list[str]] = []

    def carry_out(self, fields: dict[str, Any]) -> Credential:
        """Call the service and return the row."""
        raise NotImplementedError

    def secret(self, kind: str) -> dict[str, Any]:
        """Return the parts that were typed in, as the kind needs them; those of other kinds are refused by the service."""
        given = {name: self.cleaned_data[name] for name in SECRET_FIELDS if self.cleaned_data.get(name)}
        if "headers" in given:
            lines = [line.partition(":") for line in given["headers"].splitlines() if line.strip()]
            given["headers"] = {name.strip(): value.strip() for name, _, value in lines}
        return given

    def _post_clean(self) -> None:
        # In place of Django's: the row is checked where it is written.
        if self.errors:
            return
        given = self.cleaned_data
        fields = {name: given[name] for name in ("name", "base_url", "group", "expires_at", *LIMITS)}
        try:
            self.instance = self.carry_out(fields | {"allowed_hosts": given["hosts"].replace(",", " ").split()})
        except AppError as error:
            name = error.path.rpartition(".")[2].replace("allowed_hosts", "hosts")
            self.add_error(name if name in self.fields else None, f"{error.message} {error.hint}")

    def save(self, commit: bool = True) -> Any:
        """Return the row, which is written already."""
        return self.instance

    def save_m2m(self) -> None:
        """Do nothing: there is nothing more."""


for _name in SECRET_FIELDS:
    _CredentialForm.base_fields[_name] = _CredentialForm.declared_fields[_name] = _secret_field(_name)

_SECRET = (
    "Secret",
    {"fields": SECRET_FIELDS, "description": "Fill in what its kind needs. Nothing of it is shown again."},
)
_WHERE = ("Where, and for whom", {"fields": ("base_url", "hosts", "group", "expires_at")})
_LIMITS = (
    "How much",
    {"fields": LIMITS, "description": "Whoever comes beyond it waits in line, in order. Long waits hold no worker."},
)


class AddForm(_CredentialForm):
    """A new credential."""

    fieldsets = ((None, {"fields": ("owner", "name", "provider", "kind")}), _SECRET, _WHERE, _LIMITS)

    owner = forms.CharField(help_text="The name of a user.", widget=UnfoldAdminTextInputWidget())
    provider = forms.ChoiceField(choices=[(one.name, one.title) for one in ALL], widget=UnfoldAdminSelectWidget())
    kind = forms.ChoiceField(choices=list(KIND_TITLES.items()), widget=UnfoldAdminSelectWidget())

    def clean_owner(self) -> AbstractUser:
        """Return the user of this name."""
        user = get_user_model()._default_manager.filter(username=self.cleaned_data["owner"].strip()).first()
        if user is None:
            raise forms.ValidationError("There is no user of this name.")
        return user

    def carry_out(self, fields: dict[str, Any]) -> Credential:
        given = self.cleaned_data
        secret = self.secret(given["kind"])
        return services.add(
            owner_id=given["owner"].pk, provider=given["provider"], kind=given["kind"], secret=secret, **fields
        )


class ChangeForm(_CredentialForm):
    """A credential to be changed: an empty secret leaves the one there is."""

    @staticmethod
    def fieldsets_of(credential: Credential) -> Any:
        """Return the parts of the form for a credential of its kind."""
        asked = {"fields": PARTS[AuthKind(credential.kind)], "description": "Empty: it keeps the one it has."}
        return ((None, {"fields": ("name",)}), _WHERE, _LIMITS, ("Another secret", asked))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        credential = self.instance
        self.initial = {
            **self.initial,
            "name": credential.name,
            "base_url": credential.base_url,
            "hosts": " ".join(credential.allowed_hosts),
            "group": credential.group_id,
            "expires_at": credential.expires_at,
            **{name: getattr(credential, name) for name in LIMITS},
        }
        for name in set(SECRET_FIELDS) - set(PARTS[AuthKind(credential.kind)]):
            del self.fields[name]

    def carry_out(self, fields: dict[str, Any]) -> Credential:
        # Of its own reading: what a refused change has set must not stay on the row that the page shows.
        credential = Credential.objects.get(pk=self.instance.pk)
        return services.update(credential, secret=self.secret(credential.kind) or None, **fields)
