# SPDX-License-Identifier: Apache-2.0
"""Whether there is anything to act on, asked without loading what acts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from armillary.engines.records.schema import schema
from armillary.engines.records.schema.security.response_tables import action, playbook_setting

# Kinds of findings about which a shipped playbook does something that nobody has to enable.
ANSWERED: Final = frozenset({"vulnerability-in-field"})


def is_needed(connection: Connection) -> bool:
    """Whether there is an action, a playbook that somebody has said something of, or a finding that is answered."""
    queries = (
        select(action.c.number),
        select(playbook_setting.c.playbook),
        select(schema.finding.c.number).where(schema.finding.c.kind.in_(ANSWERED), schema.finding.c.status == "open"),
    )
    return any(connection.execute(query.limit(1)).first() is not None for query in queries)
