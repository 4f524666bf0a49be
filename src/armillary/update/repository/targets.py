# SPDX-License-Identifier: Apache-2.0
"""What a refreshed repository vouches for: artifacts, and the keys that may sign directives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tuf.api.metadata import TargetFile, Targets

from armillary.errors import MismatchError, RepositoryError, UnsignedMetadataError
from armillary.update.repository.file_check import HASHES, FileCheck
from armillary.update.repository.limits import MAX_PATH_CHARACTERS
from armillary.update.repository.metadata import Current

# The delegated role whose keys sign directives: it has no metadata file of its own (Uptane's director role).
DIRECTOR = "director"


@dataclass(frozen=True, slots=True)
class VerifiedTarget:
    """An artifact as the role ``role`` of the repository signed it."""

    path: str  # Relative to the folder of targets, e.g. ``os/mt3620/26.11/kernel``
    length: int  # Bytes
    hashes: Mapping[str, str]  # Hash name to lower-case hex digits
    role: str
    custom: Mapping[str, Any] = field(default_factory=dict)  # What the signer added; signed as well

    @property
    def sha256(self) -> bytes:
        """SHA-256, 32 bytes; MismatchError if the metadata gives another hash only."""
        try:
            return bytes.fromhex(self.hashes["sha256"])
        except (KeyError, ValueError):
            raise MismatchError(f"{self.path}: expected a sha256 in its metadata") from None

    def check(self) -> FileCheck:
        """A check for its bytes as they arrive."""
        return FileCheck(self.path, length=self.length, hashes=self.hashes)


@dataclass(frozen=True, slots=True)
class DirectorKey:
    """A key whose directives a device takes."""

    key_id: str  # As in TUF metadata; the ``kid`` of a directive
    public_key: ec.EllipticCurvePublicKey  # P-256


def verified_target(target: TargetFile, role: str) -> VerifiedTarget:
    """A target of verified metadata of ``role``."""
    custom = target.custom
    return VerifiedTarget(
        path=target.path,
        length=target.length,
        hashes=dict(target.hashes),
        role=role,
        custom=dict(custom) if isinstance(custom, dict) else {},
    )


def check_path(path: str) -> str:
    """``path``, if it can be the path of a target; RepositoryError if not.

    It becomes part of an address: a path that climbs, or has empty parts, could name another file there.
    """
    if len(path) > MAX_PATH_CHARACTERS or any(part in ("", ".", "..") for part in path.split("/")):
        raise RepositoryError(f"{path[:80]!r} is no path of an artifact: expected words joined by '/'")
    return path


def address_of(target: VerifiedTarget, *, consistent: bool) -> str:
    """Where a target is, relative to the folder of targets, quoted for an address (TUF 1.0.34 §5.7.3).

    With consistent snapshots its hash stands before its name: the name never means other bytes.
    """
    folder, slash, name = check_path(target.path).rpartition("/")
    if not consistent:
        return quote(target.path)
    digest = next(target.hashes[word] for word in HASHES if word in target.hashes)
    return f"{quote(folder)}{slash}{quote(digest, safe='')}.{quote(name)}"


def director_keys(targets: Current[Targets]) -> tuple[DirectorKey, ...]:
    """The keys that the top-level targets role gives to the director; none where it has no director.

    A directive has one signature, so the role's threshold has to be one.

    Raises:
        UnsignedMetadataError: the director's role asks for more signatures than a directive can have.
    """
    delegations = targets.signed.delegations
    role = (delegations.roles or {}).get(DIRECTOR) if delegations is not None else None
    if delegations is None or role is None:
        return ()
    if role.threshold != 1:
        raise UnsignedMetadataError(f"role {DIRECTOR!r}: expected a threshold of 1, got {role.threshold}")
    return tuple(_p256_keys((key_id, delegations.keys[key_id]) for key_id in role.keyids if key_id in delegations.keys))


def _p256_keys(keys: Iterable[tuple[str, Any]]) -> Iterable[DirectorKey]:
    """Those keys that are ECDSA on P-256; a directive can be signed by no other."""
    for key_id, key in keys:
        try:
            public = load_pem_public_key(key.keyval["public"].encode())
        except (ValueError, KeyError, AttributeError):
            continue
        if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
            yield DirectorKey(key_id, public)
