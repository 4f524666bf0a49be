# SPDX-License-Identifier: Apache-2.0
"""Findings are of one catalog each, and what a device's reports came to beyond its share is counted."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_OF_OTHERS = """
    SELECT finding_device.finding_id, finding_device.device_id FROM finding_device
    JOIN finding ON finding.finding_id = finding_device.finding_id
    JOIN device ON device.device_id = finding_device.device_id
    WHERE finding.catalog_id IS NOT NULL AND device.catalog_id IS NOT NULL AND device.catalog_id != finding.catalog_id
      AND finding.kind IN ('application-crashed', 'connection-blocked', 'install-reverted')
"""


def upgrade() -> None:
    """Apply.

    Until now what devices of several catalogs reported of one image was one finding, of the catalog that came first.
    It stays with that catalog, without the others' devices and words; theirs is found anew when they report again.
    """
    with op.batch_alter_table("device_status") as batch_op:
        batch_op.add_column(sa.Column("suppressed_up_to", sa.BigInteger(), nullable=True))
    connection = op.get_bind()
    others = connection.execute(sa.text(_OF_OTHERS)).all()
    for finding_id, device_id in others:
        connection.execute(
            sa.text("DELETE FROM finding_device WHERE finding_id = :finding AND device_id = :device"),
            {"finding": finding_id, "device": device_id},
        )
        connection.execute(
            sa.text("UPDATE finding SET cause = :cause WHERE finding_id = :finding"),
            {"finding": finding_id, "cause": "Devices of this catalog and of another one were counted here together."},
        )
    living = connection.execute(sa.text("SELECT number, catalog_id, fingerprint FROM finding")).all()
    for number, catalog_id, seen in living:
        name = "" if catalog_id is None else UUID(str(catalog_id))
        fingerprint = sha256(f"{name}\0{seen}".encode()).hexdigest()[:32]
        connection.execute(
            sa.text(
                "UPDATE finding SET fingerprint = :fingerprint,"
                " open_key = CASE WHEN open_key IS NULL THEN NULL ELSE :fingerprint END WHERE number = :number"
            ),
            {"fingerprint": fingerprint, "number": number},
        )
