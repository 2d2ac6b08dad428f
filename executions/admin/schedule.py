"""The console's windows onto schedules and their times: made and changed, paused, resumed, fired at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import display

from agentplatform.lib.errors import AppError
from executions import own_schedules, schedules
from executions.admin.money import ServiceAdmin
from executions.admin.schedule_forms import SETTINGS, NewScheduleForm, ScheduleForm
from executions.admin.shown import WindowAdmin, as_id, linked_execution, shown_moment
from executions.models import Fire, Schedule

STATUSES = {"FIRED": "success", "QUEUED": "info", "SKIPPED": "default", "MISSED": "warning", "FAILED": "danger"}
STATES = {"on": "success", "paused": "warning", "over": "default"}
FIRES_SHOWN = 20
#: What a person can do with a schedule, and what is told then.
LEVERS: dict[str, tuple[Callable[[Schedule], Any], str]] = {
    "pause": (own_schedules.pause, "Paused: nothing starts until it is resumed."),
    "resume": (own_schedules.resume, "It goes on with its next time."),
    "fire": (schedules.fire_now, "It is started."),
}


@admin.register(Schedule)
class ScheduleAdmin(ServiceAdmin):
    """When graphs are started by the clock."""

    list_display = ["name", "graph", "owner", "shown_when", "shown_next", "shown_next_utc", "shown_state"]
    list_display_links = ["name"]
    list_filter = ["is_paused", "kind"]
    list_prefetch_related = ("graph", "owner")
    search_fields = ["name"]
    search_help_text = "Owner, name, or id"
    autocomplete_fields = ["graph"]
    change_form_template = "admin/executions/schedule/change_form.html"
    actions = None

    def get_urls(self) -> list[URLPattern]:
        """Add the address that the buttons send to."""
        view = self.admin_site.admin_view(self.do_view)
        return [path("<uuid:object_id>/do/<slug:what>/", view, name="executions_schedule_do"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.add_schedule")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.change_schedule")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.delete_schedule")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=ScheduleForm if obj else NewScheduleForm, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*(["graph", "owner"] if obj else ["graph"]), *SETTINGS]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["graph", "owner"] if obj else []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        own_schedules.delete(obj)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        # Their times go with them: nobody may delete those alone, and there may be thousands.
        times = Fire.objects.filter(schedule__in=objs).count()
        return [str(one) for one in objs], {"schedules": len(objs), "times of schedules": times}, set(), []

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Schedule], search_term: str
    ) -> tuple[QuerySet[Schedule], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(Q(pk=id_) | Q(graph_id=id_)), False
        if term := search_term.strip():
            return queryset.filter(Q(name__icontains=term) | Q(owner__username=term)), False
        return queryset, False

    @method_decorator(require_POST)
    def do_view(self, request: HttpRequest, object_id: Any, what: str) -> HttpResponse:
        """Pause or resume a schedule, or fire it at once."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        schedule = self.get_object(request, str(object_id))
        if not isinstance(schedule, Schedule) or what not in LEVERS:
            raise Http404
        act, done = LEVERS[what]
        try:
            act(schedule)
        except AppError as error:
            messages.warning(request, f"{error.message} {error.hint}")
        else:
            self.log_change(request, schedule, done)
            messages.success(request, done)
        return HttpResponseRedirect(reverse("admin:executions_schedule_change", args=[schedule.pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        schedule: Schedule | None = context.get("original")
        if schedule is not None:
            fires = list(schedule.fires.order_by("-id")[:FIRES_SHOWN])
            context |= {
                "coming": [(_shown(one.local), _shown(one.utc)) for one in own_schedules.coming(schedule)],
                "fires": [(fire, STATUSES[fire.status], _shown_in(fire.fire_at, schedule)) for fire in fires],
                "may_do": self.has_change_permission(request),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="When")
    def shown_when(self, schedule: Schedule) -> str:
        if schedule.kind == "cron":
            return schedule.cron
        return f"every {schedule.every_s} s" if schedule.kind == "interval" else "once"

    @display(description="Next, in its zone")
    def shown_next(self, schedule: Schedule) -> str:
        return _shown_in(schedule.next_fire_at, schedule) if schedule.next_fire_at and not schedule.is_paused else ""

    @display(description="Next, in UTC")
    def shown_next_utc(self, schedule: Schedule) -> str:
        return "" if schedule.is_paused else shown_moment(schedule.next_fire_at)

    @display(description="State", label=STATES)
    def shown_state(self, schedule: Schedule) -> str:
        if schedule.is_paused:
            return "paused"
        return "on" if schedule.next_fire_at else "over"


@admin.register(Fire)
class FireAdmin(WindowAdmin):
    """What became of the times of schedules, the newest first."""

    list_display = ["shown_time", "schedule", "shown_status", "reason", "shown_execution", "shown_created"]
    list_display_links = ["shown_time"]
    list_filter = ["status"]
    list_prefetch_related = ("schedule",)
    search_fields = ["schedule__name"]
    search_help_text = "Id, schedule or execution"
    sortable_by: list[str] = []
    fields = ["schedule", "shown_time", "status", "reason", "message", "shown_execution", "shown_created"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Fire], search_term: str
    ) -> tuple[QuerySet[Fire], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(Q(pk=id_) | Q(execution_id=id_) | Q(schedule_id=id_)), False
        return (queryset.none(), False) if search_term.strip() else (queryset, False)

    @display(description="Execution")
    def shown_execution(self, fire: Fire) -> str:
        return linked_execution(fire.execution_id)

    @display(description="Time")
    def shown_time(self, fire: Fire) -> str:
        return _shown_in(fire.fire_at, fire.schedule) + (", by hand" if fire.is_manual else "")

    @display(description="Status", label=STATUSES)
    def shown_status(self, fire: Fire) -> str:
        return fire.status

    @display(description="Written down")
    def shown_created(self, fire: Fire) -> str:
        return shown_moment(fire.created_at)


def _shown_in(moment: datetime, schedule: Schedule) -> str:
    return _shown(moment.astimezone(schedule.timing.zone))


def _shown(moment: datetime) -> str:
    return f"{moment:%a %-d %b %Y, %H:%M:%S} {moment.tzname()}"
