"""Bring a graph in from a file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model

from graphs import services
from graphs.errors import GraphInvalid, OwnerNotFound
from graphs.management.base import GraphCommand, read_file


class Command(GraphCommand):
    help = "Make a graph out of a JSON or YAML file, for a user. Prints its id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--owner", required=True, metavar="NAME", help="the user it will belong to")
        parser.add_argument("--publish", action="store_true", help="publish it as version 1, or store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        owner = users._default_manager.filter(**{users.USERNAME_FIELD: options["owner"]}).first()
        if owner is None:
            raise OwnerNotFound(f"There is no user {options['owner']!r}.")
        document = read_file(options["file"])
        if options["publish"] and (problems := services.problems_of(document)):
            raise GraphInvalid(problems)
        graph = services.create(owner_id=owner.pk, document=document)
        if options["publish"]:
            services.publish(graph)
        self.stdout.write(str(graph.pk))
