# SPDX-License-Identifier: Apache-2.0
"""Upgrades an older database to this version, in a separate process: Alembic takes memory that a service would keep."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from armillary.engines.records.schema import schema
from armillary.errors import DataFolderError

TIMEOUT_S = 600  # a million devices rewrite their rows in well under this

_MIGRATIONS = Path(__file__).with_name("migrations")


def known_revisions() -> frozenset[str]:
    """Revisions that this program has a migration for."""
    return frozenset(path.stem.split("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def migrate(database: Path, revision: str) -> None:
    """Upgrade ``database`` from ``revision`` to :data:`schema.REVISION`; does nothing when it is up to date.

    Raises:
        DataFolderError: the database is newer than this program, or the upgrade failed (nothing was changed then).
    """
    if revision == schema.REVISION:
        return
    if revision not in known_revisions():
        raise DataFolderError(
            f"{database} has schema {revision!r}, this version knows up to {schema.REVISION!r}",
            remedy="Start it with the version that made it; a newer version never opens in an older one.",
        )
    command = [sys.executable, "-m", "armillary.engines.records.migrate", str(database)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - our own module
    if done.returncode != 0:
        raise DataFolderError(
            f"{database} could not be upgraded from {revision} ({_why(done.stderr)})",
            remedy="Restore the data folder from the backup made before the upgrade and report this.",
        )


def upgrade(database: Path, revision: str = "head") -> None:
    """Run the migrations in this process."""
    from alembic import command  # noqa: PLC0415 - ten megabytes, only when a migration runs
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{database}".replace("%", "%%"))
    command.upgrade(config, revision)


def _why(said: str) -> str:
    """The line of a traceback that names the error, or the last one."""
    lines = said.strip().splitlines() or ["it said nothing"]
    return next((line for line in reversed(lines) if "Error: " in line or "Error) " in line), lines[-1])[:300]


if __name__ == "__main__":
    upgrade(Path(sys.argv[1]))
