"""Users, groups and API tokens in the console's own style; a token is shown once and never again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.authtoken.admin import TokenAdmin as DrfTokenAdmin
from rest_framework.authtoken.models import TokenProxy
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.index_title = "Overview"
for model in (User, Group, TokenProxy):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Who may log in, and what they may do."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Permissions given to several users at once."""


@admin.register(TokenProxy)
class TokenAdmin(DrfTokenAdmin, ModelAdmin):
    """The tokens of the API, one a user."""

    list_display = ["user", "beginning", "created"]
    list_display_links = ["user"]
    list_select_related = ["user"]
    list_filter = ()

    @admin.display(description="Token")
    def beginning(self, token: TokenProxy) -> str:
        return f"{token.key[:4]}…"

    # Django's log would keep the text of a token, which is its key: what happened is noted with the user instead.

    def log_addition(self, request: HttpRequest, obj: TokenProxy, message: Any) -> Any:
        return super().log_change(request, obj.user, "Added an API token.")

    def log_change(self, request: HttpRequest, obj: TokenProxy, message: Any) -> Any:
        return super().log_change(request, obj.user, "Changed an API token.")

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[TokenProxy]) -> Any:
        return [super(TokenAdmin, self).log_change(request, token.user, "Removed an API token.") for token in queryset]
