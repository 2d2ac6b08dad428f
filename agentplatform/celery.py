"""The Celery app, and what a worker process does at its start."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps, signals

from agentplatform import transport
from executions import closing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentplatform.settings")

logger = logging.getLogger(__name__)

ALIVE_EVERY_S = 5.0
SAME_CONNECTION_EVERY_S = 2.0

transport.install()
app = Celery("agentplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Otherwise Celery closes the database connection after each task, and a new one costs 10 ms. It reads this under its full name only.
app.conf.update({"CELERY_DB_REUSE_MAX": 1_000_000_000})
app.set_default()  # the web's threads send through this app too, not through Celery's unconfigured one
app.autodiscover_tasks()


class AliveFile(bootsteps.StartStopStep):
    """Touch the file of AGENTPLATFORM_ALIVE_FILE while the worker consumes: a probe that costs no message."""

    requires = ("celery.worker.consumer.tasks:Tasks",)  # from here on it does consume

    def __init__(self, parent: Any, **options: Any) -> None:
        path = os.environ.get("AGENTPLATFORM_ALIVE_FILE")
        self.path = Path(path) if path else None
        self.timer: Any = None
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        """Touch it now, and then as long as the consumer's own timer runs."""
        if self.path:
            self.path.touch()
            self.timer = parent.timer.call_repeatedly(ALIVE_EVERY_S, self.path.touch)

    def stop(self, parent: Any) -> None:
        """Stop touching: a worker without its broker is not ready."""
        if self.timer:
            self.timer.cancel()
            self.timer = None


class SameConnection(bootsteps.StartStopStep):
    """Have the consumer start anew when its connection was closed and nobody told it.

    When RabbitMQ closes a connection just as it begins, kombu opens another later on by itself, which the event loop does not listen to.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        self.timer: Any = None
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        """Look at the connection as long as it should be this one."""
        link, opened = parent.connection, parent.connection.connection

        def look() -> None:
            if link.connected and link.connection is opened:
                return
            raise link.recoverable_connection_errors[0]("The connection to the broker is not the one that was opened.")

        self.timer = parent.timer.call_repeatedly(SAME_CONNECTION_EVERY_S, look)

    def stop(self, parent: Any) -> None:
        """Look no more."""
        if self.timer:
            self.timer.cancel()
            self.timer = None


app.steps["consumer"].add(AliveFile)
app.steps["consumer"].add(SameConnection)


@signals.worker_shutting_down.connect
def stop_soon(**_: Any) -> None:
    """Give what runs its time, then hand it on. Celery itself takes nothing more from here on."""
    closing.ask()


@signals.worker_init.connect
def warn_of_cold_stop(**_: Any) -> None:
    """Say so where SIGTERM would cut off what runs: Celery tells nobody of such a stop before it is over."""
    if os.environ.get("REMAP_SIGTERM"):
        logger.warning("REMAP_SIGTERM is set: at SIGTERM this worker hands nothing on. Remove the variable.")


@signals.worker_process_init.connect
def note_pool_process(**_: Any) -> None:
    """Let the watch know that it may end this process alone."""
    closing.enter_pool_process()


@signals.worker_init.connect
@signals.beat_init.connect
def refuse_unsafe_start(**_: Any) -> None:
    """Check the settings before the first message: Celery runs no system checks of its own."""
    from agentplatform import checks

    checks.refuse_unsafe_start()


@signals.beat_init.connect
def reconcile_beside_beat(**_: Any) -> None:
    """Let beat's process find what is stuck, fire schedules, and tell subscribers. Registered last: an unsafe start is refused before."""
    from executions import reconcile, schedules, sending

    for name, keep in (
        ("reconcile", reconcile.keep_going),
        ("schedules", schedules.keep_firing),
        ("sending", sending.keep_sending),
    ):
        threading.Thread(target=keep, args=[threading.Event()], name=name, daemon=True).start()
