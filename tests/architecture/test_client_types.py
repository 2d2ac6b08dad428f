"""The Python client's types are those of the API, and the server knows nothing of its client."""

from __future__ import annotations

import importlib.util
import json
from io import StringIO
from types import ModuleType

from django.core.management import call_command

from agentplatform.local.paths import ROOT

FOLDER = ROOT / "clients" / "python"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_types", FOLDER / "generate_types.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_types_are_those_of_the_schema():
    call_command("spectacular", format="openapi-json", stdout=(schema := StringIO()))

    wanted = generator().written(json.loads(schema.getvalue()))

    assert (FOLDER / "src/agentplatform_client/types.py").read_text() == wanted, (
        "The API has changed: run bin/client-types"
    )


def test_the_server_does_not_know_its_client():
    folders = ["agentplatform", "blocks", "executions", "files", "graphs", "integrations"]

    found = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "agentplatform_client" in path.read_text()
    ]

    assert found == []
