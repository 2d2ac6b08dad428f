"""What the windows share onto things with a secret: it is shown once, and what belongs to them goes when they go."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import display

from agentplatform.lib.errors import AppError
from agentplatform.lib.secret_page import show_secrets
from executions.admin.money import ServiceAdmin
from executions.admin.shown import as_id, shown_moment


class SecretiveAdmin(ServiceAdmin):
    """Things that people own, each with a secret; found by name or owner."""

    list_display_links = ["name"]
    search_fields = ["name"]
    search_help_text = "Owner, name, or id"
    actions = None
    #: What is deleted along with one. Nobody may delete that alone, and there may be thousands.
    goes_along: ClassVar[type[Model]]

    def rotate(self, request: HttpRequest, thing: Any) -> str:
        """Give it another secret, and return that."""
        raise NotImplementedError

    def explain(self, request: HttpRequest, thing: Any) -> dict[str, str]:
        """Return what stands beside a secret that is shown: an `explanation`, and the `address` if it is not known yet."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        """Add the address that the button sends to."""
        view = self.admin_site.admin_view(self.rotate_view)
        name = f"executions_{self.opts.model_name}_rotate"
        return [path("<uuid:object_id>/rotate/", view, name=name), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(f"executions.add_{self.opts.model_name}")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(f"executions.change_{self.opts.model_name}")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(f"executions.delete_{self.opts.model_name}")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        others = self.goes_along._default_manager.filter(**{f"{self.opts.model_name}__in": objs})
        names = str(self.opts.verbose_name_plural), str(self.goes_along._meta.verbose_name_plural)
        return [str(one) for one in objs], {names[0]: len(objs), names[1]: others.count()}, set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Not Django's own, which is one transaction: the services remove piece by piece what goes along.
        return self._delete_view(request, object_id, extra_context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(pk=id_), False
        if term := search_term.strip():
            return queryset.filter(Q(name__icontains=term) | Q(owner__username=term)), False
        return queryset, False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Keep the secret of a new one for the page that follows; the form's service has written the row."""
        obj.new_secret = getattr(form, "new_secret", "")

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._secret_page(request, obj, obj.new_secret)

    @method_decorator(require_POST)
    def rotate_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Give it another secret, and show that."""
        thing = self.changeable(request, object_id)
        try:
            secret = self.rotate(request, thing)
        except AppError as error:
            messages.warning(request, f"{error.message} {error.hint}")
            return HttpResponseRedirect(self.address_of(thing))
        self.log_change(request, thing, "Another secret.")
        return self._secret_page(request, thing, secret)

    def changeable(self, request: HttpRequest, object_id: Any) -> Any:
        """Return the one that a button is for.

        Raises:
            PermissionDenied, Http404: this person may not change any; there is no such one.
        """
        if not self.has_change_permission(request):
            raise PermissionDenied
        thing = self.get_object(request, str(object_id))
        if thing is None:
            raise Http404
        return thing

    def address_of(self, thing: Any) -> str:
        """Return the address of its page."""
        return reverse(f"admin:executions_{self.opts.model_name}_change", args=[thing.pk])

    def _secret_page(self, request: HttpRequest, thing: Any, secret: str) -> HttpResponse:
        told = self.explain(request, thing)
        page = self.address_of(thing)
        return show_secrets(self, request, title=thing.name, page=page, secrets=[("Secret", secret)], **told)

    @display(description="Secret")
    def shown_secret(self, thing: Any) -> str:
        return f"…{thing.last4}"

    @display(description="Since")
    def shown_changed(self, thing: Any) -> str:
        return shown_moment(thing.changed_at)

    @display(description="The one before is good until")
    def shown_previous(self, thing: Any) -> str:
        return shown_moment(thing.previous_until) if thing.previous_secret is not None else "there is none"
