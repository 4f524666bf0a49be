# SPDX-License-Identifier: Apache-2.0
"""TUF metadata: any bytes are metadata that say what their signers signed, or a RepositoryError."""

from __future__ import annotations

from tests.fixtures.tuf_repository import TufRepository
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from armillary.errors import RepositoryError
from armillary.update.repository.metadata import read, verify

GOOD = TufRepository()
FILES = {
    "root": (Root, GOOD.files["metadata/1.root.json"]),
    "timestamp": (Timestamp, GOOD.files["metadata/timestamp.json"]),
    "snapshot": (Snapshot, GOOD.files["metadata/1.snapshot.json"]),
    "targets": (Targets, GOOD.files["metadata/1.targets.json"]),
}
SIGNED = {role: Metadata.from_bytes(data).signed for role, (_, data) in FILES.items()}


def seeds() -> list[bytes]:
    return [data for _, data in FILES.values()]


def fuzz(data: bytes) -> None:
    for role, (kind, _) in FILES.items():
        try:
            verified = verify(read(kind, data, role=role), GOOD.root)
        except RepositoryError:
            continue
        assert verified.signed == SIGNED[role]
