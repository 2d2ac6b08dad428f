"""The console's window onto what is waited for, and the place where people answer."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import display

from agentplatform.lib.errors import AppError
from executions import waits
from executions.admin.answer_form import AnswerForm
from executions.admin.shown import LABELS, WindowAdmin, as_id, shown_moment, shown_values, who_answers
from executions.engine.waits import WaitKind, WaitStatus
from executions.errors import AnswerInvalid
from executions.models import Execution, Wait
from executions.models.wait import FOR_PEOPLE
from executions.presenting import show_asked
from graphs.models import Node


class ShownFilter(admin.SimpleListFilter):
    """What waits for people, unless something else is asked for."""

    title = "shown"
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Everything that waits"), ("closed", "What came to an end"), ("all", "Everything")]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [{**first, "display": "What waits for people"}, *rest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Wait]) -> QuerySet[Wait]:
        is_open = Q(status=WaitStatus.OPEN)
        asked = {"open": is_open, "closed": ~is_open, "all": Q()}
        return queryset.filter(asked.get(self.value() or "", is_open & Q(kind__in=FOR_PEOPLE)))


@admin.register(Wait)
class WaitAdmin(WindowAdmin):
    """What executions wait for: first what people are asked, and who may answer does so here."""

    list_display = ["what", "shown_kind", "shown_status", "graph", "node", "who", "shown_since", "shown_due"]
    list_display_links = ["what"]
    list_filter = [ShownFilter, "kind"]
    list_prefetch_related = ("owner", "answered_by")
    search_fields = ["title"]
    search_help_text = "Id, execution, title, node or event"
    sortable_by: list[str] = []
    fields = ["id"]
    change_form_template = "admin/executions/wait/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        answer = path(
            "<path:object_id>/answer/",
            self.admin_site.admin_view(self.answer_view),
            name="executions_wait_answer",
        )
        return [answer, *super().get_urls()]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Whoever may be in the console sees what they are asked.
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Wait]:
        sees_all = super().has_view_permission(request)
        found = Wait.objects.all() if sees_all else Wait.objects.answerable_by(request.user)
        # A value may have megabytes: only the page that shows it reads it.
        names = found.with_names().prefetch_related(*self.list_prefetch_related)
        return names.defer("form", "data", "answer").order_by("-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Wait], search_term: str
    ) -> tuple[QuerySet[Wait], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(Q(pk=id_) | Q(execution_id=id_)), False
        if term := search_term.strip():
            return queryset.filter(Q(title__icontains=term) | Q(node_key=term) | Q(event=term)), False
        return queryset, False

    @method_decorator(require_POST)
    def answer_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take an answer, or show the page again with what is wrong with it."""
        wait = self.get_object(request, object_id)
        user = cast(User, request.user)
        if wait is None or not Wait.objects.answerable_by(user).filter(pk=wait.pk).exists():
            raise Http404
        form = AnswerForm(wait, request.POST)
        if form.is_valid():
            try:
                waits.answer(wait, by=user, reply=form.reply(_approved(wait, request)))
            except AnswerInvalid as error:
                form.blame(error.path, error.message)
            except AppError as error:
                self.message_user(request, f"{error.message} {error.hint}", messages.WARNING)
                return HttpResponseRedirect(reverse("admin:executions_wait_change", args=[wait.pk]))
            else:
                self.message_user(request, f"Answered: {wait}. The execution goes on.")
                return HttpResponseRedirect(reverse("admin:executions_wait_changelist"))
        return self.changeform_view(_as_get(request), object_id, extra_context={"answer_form": form})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        wait: Wait = context["original"]
        execution = (
            Execution.objects.select_related("version__graph").defer("inputs", "outputs").get(pk=wait.execution_id)
        )
        may_answer = wait.is_open and Wait.objects.answerable_by(request.user).filter(pk=wait.pk).exists()
        context |= {
            "title": str(wait),
            "subtitle": None,
            "wait": wait,
            "label": LABELS[wait.status],
            "asked": show_asked(WaitKind(wait.kind), event=wait.event),
            "execution": execution,
            "node": Node.objects.filter(version_id=execution.version_id, key=wait.node_key).first() or wait.node_key,
            "who": self.who(wait),
            "data": shown_values(_named(wait.data, "data")),
            "form": (context.get("answer_form") or AnswerForm(wait)) if may_answer else None,
            **_answered(wait),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="What is asked")
    def what(self, wait: Wait) -> str:
        return str(wait)

    @display(description="Waits for")
    def shown_kind(self, wait: Wait) -> str:
        return show_asked(WaitKind(wait.kind), event=wait.event)

    @display(description="Status", label=LABELS)
    def shown_status(self, wait: Wait) -> str:
        return wait.status

    @display(description="Graph")
    def graph(self, wait: Any) -> str:
        return wait.graph_name or ""

    @display(description="Node")
    def node(self, wait: Wait) -> str:
        return f"{wait.node_key} {wait.shown_path}".strip()

    @display(description="Who may answer", empty_value="")
    def who(self, wait: Any) -> str:
        return who_answers(wait)

    @display(description="Since", ordering="id")
    def shown_since(self, wait: Wait) -> str:
        return shown_moment(wait.created_at)

    @display(description="Until", empty_value="")
    def shown_due(self, wait: Wait) -> str:
        return shown_moment(wait.due_at)


def _approved(wait: Wait, request: HttpRequest) -> bool | None:
    """Return which of the two buttons was pressed; a decision has but one."""
    return None if wait.kind == WaitKind.DECISION else {"yes": True, "no": False}.get(request.POST.get("approved", ""))


def _as_get(request: HttpRequest) -> HttpRequest:
    """Return the request as one that only looks: what it brought has been dealt with."""
    request.method = "GET"
    return request


def _answered(wait: Wait) -> dict[str, Any]:
    """Return what came, part by part."""
    given = wait.answer if isinstance(wait.answer, dict) else {}
    if wait.kind != WaitKind.APPROVAL:
        return {"given": shown_values(_named(wait.answer, "answer")) if wait.status == WaitStatus.ANSWERED else []}
    return {
        "approved": given.get("approved"),
        "given": shown_values(_named(given.get("answer"), "answer")),
        "edited": shown_values(_named(given["data"], "data")) if "data" in given else [],
    }


def _named(value: Any, name: str) -> dict[str, Any]:
    """Return a value as named parts: a dict has them itself, nothing has none."""
    if value in (None, {}):
        return {}
    return value if isinstance(value, dict) else {name: value}
