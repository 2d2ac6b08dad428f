"""What a worker does with a message that can not even be read: it drops it and says so. Named in settings.

Celery foresees some such messages. Any other ends the worker that gets it; the message goes back, and ends the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import consumer

logger = logging.getLogger(__name__)

#: What reading a message raises where it is of another form.
MALFORMED = (TypeError, ValueError, LookupError, AttributeError, RecursionError)


class Consumer(consumer.Consumer):
    """Takes messages for the pool, whatever is in them."""

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        receive = super().create_task_handler(*args, **options)
        lost: tuple[type[Exception], ...] = tuple(self.connection_errors)  # type: ignore[attr-defined]  # missing from the stubs

        def receive_or_drop(message: Any) -> None:
            try:
                receive(message)
            except lost:
                raise
            except MALFORMED as error:
                logger.error("A message that nobody can read was dropped: %r", error)
                if not message.acknowledged:
                    message.reject_log_error(logger, lost)

        return receive_or_drop
