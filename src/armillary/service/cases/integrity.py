# SPDX-License-Identifier: Apache-2.0
"""Whether the entries of a case are those that the audit log has: who changes one in the database is found out.

Each audit line of a case has the digest of its entry. The log is a Merkle tree whose checkpoints others keep, so that
whoever changes both is found out too (``docs/concepts/transparency.md``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.queries.audit import AuditFilter
from armillary.engines.records.schema.security.case_rows import CaseRow
from armillary.errors import InconsistentLogError
from armillary.regulation.case import MAX_ENTRIES, CaseEntry

DIGEST: Final = "digest"  # in the detail of an audit line


def digest_of(entry: CaseEntry) -> str:
    """The SHA-256 of all of an entry, hex."""
    return sha256(json.dumps(asdict(entry), sort_keys=True).encode()).hexdigest()


def check(connection: Connection, row: CaseRow, entries: Sequence[CaseEntry]) -> None:
    """Raise InconsistentLogError unless the audit log has these entries, and no others, of a case."""
    lines = audit_rows.page(
        connection, limit=MAX_ENTRIES + 1, before=None, wanted=AuditFilter(target=str(row.case_id))
    ).items
    recorded = [str(each.detail.get(DIGEST, "")) for each in reversed(lines) if each.operation.startswith("case.")]
    if recorded != [digest_of(each) for each in entries]:
        raise InconsistentLogError(
            f"case {row.case_id}",
            expected=f"the {len(recorded)} entries that the audit log has",
            got=f"{len(entries)} entries of which one is another: the database was changed behind the service's back",
        )
