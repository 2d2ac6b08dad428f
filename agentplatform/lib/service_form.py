"""What all forms of the console share that make or change something: the services do it, and may refuse."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.db.models import Model

from agentplatform.lib.errors import AppError


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose row is written by a service, which may refuse: then it is shown again, with what was wrong."""

    #: Where a service names another field than the form.
    paths: ClassVar[dict[str, str]] = {}
    #: Who asks.
    by_id: ClassVar[int | None] = None

    def carry_out(self) -> Model:
        """Call the service and return the row."""
        raise NotImplementedError

    def _post_clean(self) -> None:
        # In place of Django's: the row is checked where it is written.
        if self.errors:
            return
        try:
            self.instance = self.carry_out()
        except AppError as error:
            name = self.paths.get(error.path, error.path)
            self.add_error(name if name in self.fields else None, f"{error.message} {error.hint}")

    def save(self, commit: bool = True) -> Any:
        """Return the row, which is written already."""
        return self.instance

    def save_m2m(self) -> None:
        """Do nothing: there is nothing more."""
