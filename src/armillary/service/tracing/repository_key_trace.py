# SPDX-License-Identifier: Apache-2.0
"""Where a key of the repository (TUF) stands: for which roles, since which root until which, what it has signed.

Versions of root stay for good, so that the whole history is read from the metadata themselves, which devices verify.
They bear no time of signing: the audit lines of the ceremonies do. Loads the package ``tuf`` when it is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from armillary.engines.records.schema.rows import AuditLine
from armillary.errors import NotFoundError
from armillary.service.registry.audit import AuditLog
from armillary.service.repository.repository import Repository

_KEY_ID: Final = re.compile("[0-9a-f]{64}", re.ASCII)
# The newest roots that are read; a key is changed a few times in the life of a product.
MAX_ROOTS: Final = 200
MAX_LINES: Final = 1000
TARGET: Final = "repository"  # of the audit lines of ceremonies


@dataclass(frozen=True, slots=True)
class NamedBy:
    """A version of root that names the key, or that it signed.

    Attributes:
        roles: Those of the four top roles that it is a key of.
        is_signer: Whether it signed this version.
        expires: When this version ends, as it says.
    """

    version: int
    roles: tuple[str, ...]
    is_signer: bool
    expires: str


@dataclass(frozen=True, slots=True)
class SignedMetadata:
    """Metadata in force that the key has signed; ``expires_at`` in Unix seconds."""

    role: str
    version: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryKeyTrace:
    """A key of the repository.

    Attributes:
        roles: Those that it is a key of now; empty: it was dropped.
        is_online: Whether the service holds its private half; None of a key that was dropped.
        public_key: PEM; empty of a key that was dropped.
        roots: Versions of root that name it or that it signed, rising.
        until_root: The first later root that names it no more; None while the newest does, or where none ever did.
        signed: Metadata in force that it has signed.
        audit: Lines of the ceremonies, oldest first.
    """

    key_id: str
    roles: tuple[str, ...]
    is_online: bool | None
    public_key: str
    roots: tuple[NamedBy, ...]
    until_root: int | None
    signed: tuple[SignedMetadata, ...]
    audit: tuple[AuditLine, ...]


class RepositoryKeyTraces:
    """Traces of the keys that sign releases: root, targets and what they delegate to."""

    def __init__(self, repository: Repository, audit: AuditLog) -> None:
        self._repository = repository
        self._audit = audit

    def of(self, key_id: str) -> RepositoryKeyTrace:
        """The trace of a key by its id: 64 hex digits, as ``armillary release keys show`` has them.

        Raises:
            NotFoundError: no version of root, and no role, has such a key.
            DataFolderError: the repository's folder cannot be used.
        """
        known = key_id.lower()
        edition = self._repository.edition()
        from armillary.service.repository.status import role_statuses  # noqa: PLC0415 - with the package tuf

        held = [
            (status.role, key)
            for status in role_statuses(edition, self._repository.keys())
            for key in status.keys
            if key.key_id == known
        ]
        metadata = [(role, edition.get(role)) for role in edition.roles]
        signed = tuple(
            SignedMetadata(role, one.signed.version, int(one.signed.expires.timestamp()))
            for role, one in metadata
            if one is not None and known in one.signatures
        )
        roots = tuple(self._roots(known)) if _KEY_ID.fullmatch(known) else ()
        if not (held or signed or roots):
            raise NotFoundError(
                f"the repository has and had no key {key_id[:80]!a}",
                remedy="armillary release keys show has the ids; certificates are traced by --serial.",
            )
        newest = self._repository.files.newest_root()
        last = max((each.version for each in roots if each.roles), default=newest)
        lines = self._audit.list(target=TARGET, limit=MAX_LINES).items
        return RepositoryKeyTrace(
            key_id=known,
            roles=tuple(dict.fromkeys(role for role, _ in held)),
            is_online=held[0][1].online if held else None,
            public_key=held[0][1].public_key if held else "",
            roots=roots,
            until_root=None if last == newest else last + 1,
            signed=signed,
            audit=tuple(reversed(lines)),
        )

    def _roots(self, key_id: str) -> Iterator[NamedBy]:
        files = self._repository.files
        for version in files.versions("root")[-MAX_ROOTS:]:
            document = json.loads(files.read(f"{version}.root.json") or b"{}")
            signed = document.get("signed", {})
            roles = tuple(sorted(name for name, one in signed.get("roles", {}).items() if key_id in one["keyids"]))
            is_signer = any(each["keyid"] == key_id and each["sig"] for each in document.get("signatures", ()))
            if roles or is_signer:
                yield NamedBy(version, roles, is_signer, signed["expires"])
