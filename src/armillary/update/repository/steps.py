# SPDX-License-Identifier: Apache-2.0
"""The checks of the TUF client workflow, one function for each role (TUF 1.0.34 §5.3 to §5.6).

==== ========================================================================== ======================================
step what is checked                                                            what it prevents
==== ========================================================================== ======================================
(1)  a threshold of the role's keys signed it (§5.3.4, 5.4.2, 5.5.3, 5.6.3)      arbitrary software, key compromise
(2)  a new root has the next version exactly, and both signed it (§5.3.4, 5.3.5) a thief of the old keys, or of the new
(3)  versions never fall (§5.4.3, 5.5.5)                                         rollback
(4)  length and hashes as announced (§5.5.2, 5.6.2)                              mix-and-match, endless data
(5)  the version as announced (§5.5.4, 5.6.4)                                    mix-and-match
(6)  not expired at the start of the refresh (§5.3.10, 5.4.4, 5.5.6, 5.6.5)      freeze
(7)  trusted timestamp and snapshot go when their keys go (§5.3.11)              fast-forward
==== ========================================================================== ======================================

Every function returns what it verified or raises; nothing here is kept. What was trusted before is an argument.
"""

from __future__ import annotations

from tuf.api.metadata import MetaFile, Root, Snapshot, Targets, Timestamp

from armillary.errors import MismatchError, RollbackError
from armillary.update.repository.file_check import check_file
from armillary.update.repository.metadata import Current, Verified, in_force, keys_of, read, verify

SNAPSHOT = Snapshot.type
TARGETS = Targets.type
TIMESTAMP = Timestamp.type
ROOT = Root.type


def first_root(data: bytes) -> Verified[Root]:
    """The root that the device came with (§5.2): signed by itself; that it may have expired does not matter."""
    unverified = read(Root, data, role=ROOT)
    return verify(unverified, unverified.signed)  # (1)


def next_root(trusted: Verified[Root], data: bytes) -> Verified[Root]:
    """The root that follows the trusted one (§5.3.3 to 5.3.7); one that expired may lead to another."""
    unverified = read(Root, data, role=ROOT)
    verify(unverified, trusted.signed)  # (1) by the keys of the root before
    verified = verify(unverified, unverified.signed)  # (2) and by its own
    expected = trusted.signed.version + 1
    if verified.signed.version != expected:  # (2)
        raise RollbackError(f"root: expected version {expected}, got {verified.signed.version}")
    return verified


def recovers(old: Root, new: Root) -> bool:
    """Whether trusted timestamp and snapshot have to go (§5.3.11): a key of theirs is no longer one (7).

    A key that was added takes nothing back; a key that was removed may have signed versions from the far future.
    """
    return any(keys_of(old, role).keys() - keys_of(new, role).keys() for role in (TIMESTAMP, SNAPSHOT))


def kept_timestamp(root: Current[Root], data: bytes) -> Verified[Timestamp]:
    """A timestamp that was kept, to compare a new one with: it may have expired, but must still be signed (1)."""
    return verify(read(Timestamp, data, role=TIMESTAMP), root.signed)


def next_timestamp(
    root: Current[Root], trusted: Verified[Timestamp] | None, data: bytes, *, now: int
) -> Current[Timestamp]:
    """The timestamp to go on with: the new one, or the trusted one where both have the same version (§5.4)."""
    new = verify(read(Timestamp, data, role=TIMESTAMP), root.signed)  # (1)
    if trusted is not None:
        if new.signed.version < trusted.signed.version:  # (3)
            raise RollbackError(
                f"timestamp: expected version {trusted.signed.version} or later, got {new.signed.version}"
            )
        if new.signed.version == trusted.signed.version:
            return in_force(trusted, now=now)  # (6) whatever else the new one says under the same version
        before, after = trusted.signed.snapshot_meta.version, new.signed.snapshot_meta.version
        if after < before:  # (3)
            raise RollbackError(f"timestamp: expected snapshot version {before} or later, got {after}")
    return in_force(new, now=now)  # (6)


def kept_snapshot(root: Current[Root], data: bytes) -> Verified[Snapshot]:
    """A snapshot that was kept, to compare a new one with: it may be old, but must still be signed (1)."""
    return verify(read(Snapshot, data, role=SNAPSHOT), root.signed)


def current_snapshot(timestamp: Current[Timestamp], verified: Verified[Snapshot], *, now: int) -> Current[Snapshot]:
    """A verified snapshot, if it is the one that the timestamp announces and has not expired."""
    announced = timestamp.signed.snapshot_meta
    _check_announced(SNAPSHOT, verified, announced)  # (4), (5)
    return in_force(verified, now=now)  # (6)


def next_snapshot(
    root: Current[Root],
    timestamp: Current[Timestamp],
    trusted: Verified[Snapshot] | None,
    data: bytes,
    *,
    now: int,
) -> Current[Snapshot]:
    """The new snapshot (§5.5)."""
    announced = timestamp.signed.snapshot_meta
    check_file("snapshot", data, length=announced.length, hashes=announced.hashes)  # (4)
    new = verify(read(Snapshot, data, role=SNAPSHOT), root.signed)  # (1)
    current = current_snapshot(timestamp, new, now=now)  # (5), (6)
    for name, before in {} if trusted is None else trusted.signed.meta.items():
        after = current.signed.meta.get(name)
        if after is None:
            raise RollbackError(f"snapshot: expected {name} to be listed still; it is not")  # (3)
        if after.version < before.version:
            raise RollbackError(f"snapshot: expected {name} version {before.version} or later, got {after.version}")
    return current


def announced_targets(snapshot: Current[Snapshot], role: str) -> MetaFile:
    """What the snapshot says of a role of targets; MismatchError if it does not list it."""
    announced = snapshot.signed.meta.get(f"{role}.json")
    if announced is None:
        raise MismatchError(f"role {role!r} was delegated to, but the snapshot does not list it")
    return announced


def next_targets(
    delegator: Current[Root] | Current[Targets], snapshot: Current[Snapshot], role: str, data: bytes, *, now: int
) -> Current[Targets]:
    """Metadata of a role of targets, top-level or delegated, by the word of this delegator (§5.6.2 to 5.6.5)."""
    announced = announced_targets(snapshot, role)
    check_file(role, data, length=announced.length, hashes=announced.hashes)  # (4)
    verified = verify(read(Targets, data, role=role), delegator.signed)  # (1)
    _check_announced(role, verified, announced)  # (5)
    return in_force(verified, now=now)  # (6)


def _check_announced(role: str, verified: Verified[Snapshot] | Verified[Targets], announced: MetaFile) -> None:
    check_file(role, verified.data, length=announced.length, hashes=announced.hashes)
    if verified.signed.version != announced.version:
        raise MismatchError(f"role {role!r}: expected version {announced.version}, got {verified.signed.version}")
