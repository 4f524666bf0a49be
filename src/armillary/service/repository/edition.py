# SPDX-License-Identifier: Apache-2.0
"""The metadata in force: read from the folder, with the questions that its publication asks. Imports ``tuf``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from armillary.errors import DataFolderError
from armillary.service.repository.files import RepositoryFiles
from armillary.service.repository.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP

_REMEDY = "Restore the folder repository from a backup, together with the records and the keys."


@dataclass
class Edition:
    """One consistent state of the repository; ``delegated`` has the roles below targets by name."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    delegated: dict[str, Metadata[Targets]] = field(default_factory=dict)

    def get(self, role: str) -> Metadata[Any] | None:
        """The metadata of a role; None for a role that has none."""
        top: dict[str, Metadata[Any]] = {
            ROOT: self.root,
            TIMESTAMP: self.timestamp,
            SNAPSHOT: self.snapshot,
            TARGETS: self.targets,
        }
        return top.get(role) or self.delegated.get(role)

    def put(self, role: str, metadata: Metadata[Any]) -> None:
        """Replace the metadata of a role."""
        if role in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS):
            setattr(self, role, metadata)
        else:
            self.delegated[role] = metadata

    @property
    def roles(self) -> Iterator[str]:
        """Every role that has metadata."""
        yield from (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)
        yield from self.delegated


def key_ids(delegator: Metadata[Any] | None, role: str) -> list[str]:
    """Ids of the keys that ``delegator`` gives a role; none where it does not know the role."""
    if delegator is None:
        return []
    try:
        return list(delegator.signed.get_delegated_role(role).keyids)
    except ValueError:
        return []


def verifies(delegator: Metadata[Any], role: str, metadata: Metadata[Any]) -> bool:
    """Whether the keys that ``delegator`` gives a role have signed its metadata, as many as it asks for."""
    try:
        result = delegator.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except (ValueError, RepositoryError):
        return False
    return bool(result.verified)


def is_signed(delegator: Metadata[Any], role: str, metadata: Metadata[Any]) -> bool:
    """Whether as many keys as ``delegator`` asks for are named among the signatures of our own metadata.

    It verifies none: that costs a millisecond for each role, at every publication.
    """
    try:
        given = delegator.signed.get_delegated_role(role)
    except ValueError:
        return False
    return bool(len(set(given.keyids) & metadata.signatures.keys()) >= given.threshold)


def read_edition(files: RepositoryFiles) -> Edition:
    """The edition in the folder. The newest root has to verify itself; the others are checked when they are used.

    Raises:
        DataFolderError: a file is missing or damaged.
    """
    root = _parse(files, f"{files.newest_root()}.{ROOT}.json", Root)
    if not verifies(root, ROOT, root):
        raise DataFolderError(f"{files.folder}: the newest root is not signed by its own keys", remedy=_REMEDY)
    timestamp = _parse(files, f"{TIMESTAMP}.json", Timestamp)
    snapshot = _parse(files, f"{timestamp.signed.snapshot_meta.version}.{SNAPSHOT}.json", Snapshot)
    versions: Mapping[str, int] = {
        name.removesuffix(".json"): meta.version for name, meta in snapshot.signed.meta.items()
    }
    targets = _parse(files, f"{versions[TARGETS]}.{TARGETS}.json", Targets)
    delegated = {
        role: _parse(files, f"{version}.{role}.json", Targets) for role, version in versions.items() if role != TARGETS
    }
    return Edition(root, timestamp, snapshot, targets, delegated)


def parse_metadata(content: bytes, kind: type[Any]) -> Metadata[Any]:
    """Metadata of a kind, not verified; raises DeserializationError for other bytes."""
    metadata: Metadata[Any] = Metadata.from_bytes(content)
    if type(metadata.signed) is not kind:
        raise DeserializationError(f"expected {kind.__name__.lower()} metadata, got {metadata.signed.type}")
    return metadata


def kind_of(role: str) -> type[Any]:
    """The class of a role's metadata."""
    top: dict[str, type[Any]] = {ROOT: Root, TIMESTAMP: Timestamp, SNAPSHOT: Snapshot}
    return top.get(role, Targets)


def _parse(files: RepositoryFiles, name: str, kind: type[Any]) -> Metadata[Any]:
    content = files.read(name)
    if content is None:
        raise DataFolderError(f"{files.folder}/metadata/{name} is missing", remedy=_REMEDY)
    try:
        return parse_metadata(content, kind)
    except DeserializationError as error:
        raise DataFolderError(f"{files.folder}/metadata/{name} cannot be read ({error})", remedy=_REMEDY) from error
