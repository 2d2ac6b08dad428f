"""The example that is shipped: a graph, and documents for it to read."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

FOLDER = settings.BASE_DIR / "examples" / "digest"
GRAPH = FOLDER / "graph.yaml"
OWNER = "demo"


def documents(folder: Path = FOLDER / "documents") -> list[str]:
    """Return the texts to read, in the order of their names."""
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))]


def owner() -> AbstractBaseUser:
    """Return the user whose graph it is; nobody can log in as them."""
    users = get_user_model()._default_manager
    user, is_new = users.get_or_create(None, **{get_user_model().USERNAME_FIELD: OWNER})
    if is_new:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user
