# SPDX-License-Identifier: Apache-2.0
"""The TUF client workflow: in which order metadata is fetched, verified and kept (TUF 1.0.34 §5).

Rules:

* root, timestamp, snapshot, targets, in this order; each is kept as soon as it is verified, so that a refresh that is
  cut short or refused goes on from there, and what was refused is never kept.
* What is kept counts as unverified when it is read back: it is verified by the present root before it is compared with.
* A role of targets is trusted by the word of one delegator: found again under another one it is verified again.
* What a new root says of times is heard before that root is kept: a cut between the two comes here again.

::

    root N ──▶ root N+1 ... ──▶ timestamp ──▶ snapshot ──▶ targets ──▶ delegated roles, as an artifact asks for them
      each signs the next         announces      announces the versions of all roles of targets
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from armillary.errors import RepositoryError, TargetNotFoundError, TransferError, WireError
from armillary.update.repository import limits, steps
from armillary.update.repository.metadata import Current, Document, Verified, in_force
from armillary.update.repository.port import Fetcher, MetadataStore
from armillary.update.repository.targets import (
    DirectorKey,
    VerifiedTarget,
    check_path,
    director_keys,
    verified_target,
)
from armillary.wire.update.clock_correction import ClockCorrection, clock_correction

# Takes a correction that root has signed, and gives the time to go on with, Unix seconds.
Correct = Callable[[ClockCorrection], int]


class TrustedRepository:
    """A repository after a refresh: every question is answered out of metadata that was verified at ``now``."""

    def __init__(
        self,
        fetcher: Fetcher,
        store: MetadataStore,
        *,
        root: Current[Root],
        snapshot: Current[Snapshot],
        targets: Current[Targets],
        now: int,
    ) -> None:
        self._fetcher = fetcher
        self._store = store
        self._snapshot = snapshot
        self._now = now
        self.root = root
        self.targets = targets
        self._delegated: dict[tuple[str, str], Current[Targets]] = {}  # By (delegator, role)

    @property
    def consistent(self) -> bool:
        """Whether files bear their version or hash in their name (consistent snapshots)."""
        return bool(self.root.signed.consistent_snapshot)

    def director_keys(self) -> tuple[DirectorKey, ...]:
        """The keys that may sign directives; see :func:`~armillary.update.repository.targets.director_keys`."""
        return director_keys(self.targets)

    async def target(self, path: str) -> VerifiedTarget:
        """The artifact at ``path``: the first that a search in order of delegation finds (§5.6.7).

        Raises:
            TargetNotFoundError: no role that may name it does.
            RepositoryError: metadata on the way could not be had or verified.
        """
        check_path(path)
        visited: set[str] = set()
        waiting: list[tuple[str, Current[Root] | Current[Targets]]] = [(steps.TARGETS, self.root)]
        while waiting and len(visited) < limits.MAX_DELEGATIONS:
            role, delegator = waiting.pop()
            if role in visited:
                continue  # a circle of delegations
            visited.add(role)
            metadata = self.targets if role == steps.TARGETS else await self._role(role, delegator)
            found = metadata.signed.targets.get(path)
            if found is not None:
                return verified_target(found, role)
            below = list(_delegations(metadata, path))
            if any(terminating for _, terminating in below):
                waiting.clear()
            waiting += [(name, metadata) for name, _ in reversed(below)]
        reason = f"the search ended after {len(visited)} roles" if waiting else "no role that may name it does"
        raise TargetNotFoundError(f"{path}: {reason}")

    async def _role(self, role: str, delegator: Current[Root] | Current[Targets]) -> Current[Targets]:
        known = self._delegated.get((delegator.role, role))
        if known is None:
            known = await _targets(
                self._fetcher, self._store, self.root, delegator, self._snapshot, role, now=self._now
            )
            self._delegated[delegator.role, role] = known
        return known


async def refresh(
    fetcher: Fetcher, store: MetadataStore, *, now: int, correct: Correct | None = None
) -> TrustedRepository:
    """Bring the trusted metadata up to date; ``now`` is Unix seconds by a clock that nobody else can set (§5.1).

    ``correct`` hears of each correction of that clock which a root on the way holds.

    Raises:
        RepositoryError: a source gave metadata that must not be trusted, or none; what was verified before is kept.
    """
    newest, now = await _newest_root(fetcher, store, now, correct)
    root = in_force(newest, now=now)
    timestamp = await _timestamp(fetcher, store, root, now=now)
    snapshot = await _snapshot(fetcher, store, root, timestamp, now=now)
    targets = await _targets(fetcher, store, root, root, snapshot, steps.TARGETS, now=now)
    return TrustedRepository(fetcher, store, root=root, snapshot=snapshot, targets=targets, now=now)


async def _newest_root(
    fetcher: Fetcher, store: MetadataStore, now: int, correct: Correct | None
) -> tuple[Verified[Root], int]:
    """The newest root that the trusted one leads to (§5.3.2 to 5.3.9), and the time by its word."""
    kept = store.read(steps.ROOT)
    if kept is None:
        raise RepositoryError(
            "no root of the repository is trusted yet", remedy="Give the device the first root at its manufacture."
        )
    trusted = steps.first_root(kept)
    for _ in range(limits.MAX_ROOT_ROTATIONS):
        name = f"{trusted.signed.version + 1}.{steps.ROOT}.json"
        new = await fetcher.metadata(name, limits.MAX_ROOT_BYTES, partial(steps.next_root, trusted))
        if new is None:
            break  # nobody has a newer one
        if steps.recovers(trusted.signed, new.signed):
            # Before the root is kept: a cut between the two comes here again.
            store.forget(steps.TIMESTAMP)
            store.forget(steps.SNAPSHOT)
        correction = _correction(new)
        if correction is not None and correct is not None:
            now = correct(correction)
        store.keep(steps.ROOT, new.data)
        trusted = new
    return trusted, now


def _correction(root: Verified[Root]) -> ClockCorrection | None:
    """What a root says of times; one that says it wrongly is followed all the same, or nobody could follow any more."""
    try:
        return clock_correction(root.signed.unrecognized_fields)
    except WireError:
        return None


async def _timestamp(fetcher: Fetcher, store: MetadataStore, root: Current[Root], *, now: int) -> Current[Timestamp]:
    kept = store.read(steps.TIMESTAMP)
    trusted: Verified[Timestamp] | None = None
    if kept is not None:
        try:
            trusted = steps.kept_timestamp(root, kept)
        except RepositoryError:
            trusted = None  # signed by keys that are gone, or damaged: it says nothing any more
    new = await fetcher.metadata(
        f"{steps.TIMESTAMP}.json",
        limits.MAX_TIMESTAMP_BYTES,
        lambda data: steps.next_timestamp(root, trusted, data, now=now),
    )
    return _keep(store, new, steps.TIMESTAMP, kept)


async def _snapshot(
    fetcher: Fetcher, store: MetadataStore, root: Current[Root], timestamp: Current[Timestamp], *, now: int
) -> Current[Snapshot]:
    announced = timestamp.signed.snapshot_meta
    kept = store.read(steps.SNAPSHOT)
    trusted: Verified[Snapshot] | None = None
    if kept is not None:
        try:
            trusted = steps.kept_snapshot(root, kept)
            return steps.current_snapshot(timestamp, trusted, now=now)
        except RepositoryError:
            pass  # not the announced one: it is what the announced one is compared with, where it is signed
    new = await fetcher.metadata(
        _file(root, steps.SNAPSHOT, announced.version),
        _limit(announced.length, limits.MAX_SNAPSHOT_BYTES),
        lambda data: steps.next_snapshot(root, timestamp, trusted, data, now=now),
    )
    return _keep(store, new, steps.SNAPSHOT, kept)


async def _targets(
    fetcher: Fetcher,
    store: MetadataStore,
    root: Current[Root],
    delegator: Current[Root] | Current[Targets],
    snapshot: Current[Snapshot],
    role: str,
    *,
    now: int,
) -> Current[Targets]:
    announced = steps.announced_targets(snapshot, role)
    kept = store.read(role)
    if kept is not None:
        try:
            return steps.next_targets(delegator, snapshot, role, kept, now=now)
        except RepositoryError:
            pass  # not the announced one
    new = await fetcher.metadata(
        _file(root, role, announced.version),
        _limit(announced.length, limits.MAX_TARGETS_BYTES),
        lambda data: steps.next_targets(delegator, snapshot, role, data, now=now),
    )
    return _keep(store, new, role, kept)


def _keep(store: MetadataStore, new: Current[Document] | None, role: str, kept: bytes | None) -> Current[Document]:
    """``new``, kept as the metadata of its role; TransferError where no source has the file."""
    if new is None:
        raise TransferError(f"metadata of role {role!r}: no source has the version that is announced")
    if new.data != kept:
        store.keep(role, new.data)
    return new


def _file(root: Current[Root], role: str, version: int) -> str:
    """Name of the file with the metadata of a role, quoted for an address (§6.2)."""
    prefix = f"{version}." if root.signed.consistent_snapshot else ""
    return f"{prefix}{quote(role, safe='')}.json"


def _limit(announced: int | None, most: int) -> int:
    """How many bytes of a file are read: what is announced, and never more than this client takes."""
    return most if announced is None else min(announced, most)


def _delegations(metadata: Current[Targets], path: str) -> Iterator[tuple[str, bool]]:
    """Roles that may name ``path``, in order, each with whether it ends the search; none after one that does."""
    if metadata.signed.delegations is None:
        return
    for role, terminating in metadata.signed.delegations.get_roles_for_target(path):
        yield role, terminating
        if terminating:
            return
