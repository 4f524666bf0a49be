# SPDX-License-Identifier: Apache-2.0
"""How many devices there are, counted: the summary of a fleet may be as it was a while ago when the host is slow."""

from __future__ import annotations

from sqlalchemy import text

from armillary.service.assemble import SecurityService


def devices_in(service: SecurityService) -> int:
    """Devices in the records now."""
    return int(service.context.records.read(lambda c: c.execute(text("SELECT count(*) FROM device")).scalar_one()))
