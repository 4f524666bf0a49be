# SPDX-License-Identifier: Apache-2.0
"""What the files of tables share (``schema.py`` names them all): the metadata, and the widths of columns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

DEVICE_ID_LENGTH = 128
NAME_LENGTH = 64
# An automatic row number: 64 bits where the database has them, SQLite's rowid there.
Number = BigInteger().with_variant(Integer(), "sqlite")
