"""A streaming replica of a PostgreSQL of ours, to take its place."""

from __future__ import annotations

import subprocess
from pathlib import Path

from agentplatform.local.errors import LocalError
from agentplatform.local.postgres import NAME, Postgres, binaries

#: As the primary knows it.
REPLICA = "replica"


class Replica(Postgres):
    """Begins as a copy of another server, and follows it until it is promoted."""

    def __init__(self, folder: Path, of: Postgres) -> None:
        super().__init__(folder)
        self.of = of

    def keep_primary_waiting(self) -> None:
        """Let no commit of the primary be answered before it is written here too, as operators are told to."""
        for statement in (f"ALTER SYSTEM SET synchronous_standby_names = '{REPLICA}'", "SELECT pg_reload_conf()"):
            self._carried_out(self.of, statement)

    @property
    def is_waited_for(self) -> bool:
        """Say whether the primary waits for it."""
        return self._carried_out(self.of, "SELECT sync_state FROM pg_stat_replication") == "sync"

    def promote(self) -> None:
        """Let it take writes."""
        assert self._carried_out(self, "SELECT pg_promote()") == "t"

    def _initdb(self, data: Path) -> None:
        followed = f"host={self.of.sockets} user={NAME} application_name={REPLICA}"
        arguments = ["-D", str(data), "-d", followed, "--checkpoint=fast", "--write-recovery-conf"]
        user = self.launch.user
        copied = subprocess.run(
            [*self.launch.prefix, str(binaries() / "pg_basebackup"), *arguments],
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd="/",
            capture_output=True,
            text=True,
        )
        if copied.returncode != 0:
            raise LocalError(f"pg_basebackup failed: {copied.stderr.strip()}")

    @staticmethod
    def _carried_out(server: Postgres, statement: str) -> str:
        done = server._psql(statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
