# SPDX-License-Identifier: Apache-2.0
"""What Alembic runs: one transaction for the whole upgrade, so that a crash leaves the old version whole."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine, event

from armillary.engines.records.schema.schema import metadata

engine = create_engine(str(context.config.get_main_option("sqlalchemy.url")))


@event.listens_for(engine, "connect")
def _connected(connection: object, _: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3: no transactions of its own choosing


@event.listens_for(engine, "begin")
def _begun(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
