"""Users and groups in the console's own style."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from agentplatform.lib.named_list import NamedList

admin.site.index_title = "Overview"
for model in (User, Group):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(NamedList, DjangoUserAdmin, ModelAdmin):
    """Who may log in, and what they may do."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(NamedList, DjangoGroupAdmin, ModelAdmin):
    """Permissions given to several users at once."""
