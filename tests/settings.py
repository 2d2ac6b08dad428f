"""The settings of the tests: the platform's own, at the addresses of the tests' own servers."""

from __future__ import annotations

import os

from tests import environment

os.environ.update(environment.of_tests())

from agentplatform.settings import *  # noqa: F403 - the environment must stand before it is read

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # logins by the hundred
