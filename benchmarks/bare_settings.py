"""Our settings, with other addresses."""

from agentplatform.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.bare"
