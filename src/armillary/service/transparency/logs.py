# SPDX-License-Identifier: Apache-2.0
"""The audit log and the release log: signed checkpoints, and proofs against them.

A checkpoint is signed when somebody asks for one and the log has grown. Before that the log is compared with the newest
checkpoint: what does not continue it is never signed, whatever has happened to the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.transparency import checkpoints as checkpoint_rows, release_log, tree
from armillary.engines.records.transparency.checkpoints import CheckpointRow
from armillary.engines.records.transparency.tree import ReadLeaves
from armillary.errors import (
    ConflictError,
    DataFolderError,
    InconsistentLogError,
    InvalidArgumentError,
    NotFoundError,
    WireError,
)
from armillary.service.authority.key_store import KeyStore
from armillary.service.context.context import Context
from armillary.wire.transparency import bundle as bundles, merkle, note as notes
from armillary.wire.transparency.bundle import Earlier, ProvedLeaf, UnverifiedBundle
from armillary.wire.transparency.checkpoint import Checkpoint
from armillary.wire.transparency.entry import AUDIT, LOGS, RELEASES, LogEntry, parse_leaf
from armillary.wire.transparency.merkle import Proof, TreeHead
from armillary.wire.transparency.note import VerifierKey, parse_verifier_key

KEY_NAME: Final = "transparency"  # in the key store; both logs sign with it, under names of their own
MAX_ENTRIES: Final = 1000  # of one answer, as many as a bundle holds

_LEAVES: Final[Mapping[str, ReadLeaves]] = {AUDIT: audit_rows.leaves, RELEASES: release_log.leaves}
_SIZES: Final[Mapping[str, Callable[[Connection], int]]] = {AUDIT: audit_rows.last_number, RELEASES: release_log.size}
_OF_TARGET: Final = {AUDIT: audit_rows.numbers_of, RELEASES: release_log.numbers_of}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStanding:
    """A log as it is now: who it is, how many entries it has, and how many its newest checkpoint covers."""

    log: str
    verifier_key: str
    size: int
    checkpoint_size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint with the cosignatures that the service has: verifier key of each witness -> its line."""

    row: CheckpointRow
    cosignatures: Mapping[str, str]

    @property
    def note(self) -> str:
        """The checkpoint as a signed note."""
        return self.row.note + "".join(self.cosignatures.values())


class TransparencyLogs:
    """Signs checkpoints and makes proofs. Thread-safe.

    ``drain`` moves entries that wait elsewhere into the audit log. A log of another name than those of :data:`LOGS`
    raises NotFoundError; what does not fit what was signed before, InconsistentLogError; missing entries,
    DataFolderError.
    """

    def __init__(self, context: Context, keys: KeyStore, drain: Callable[[], object]) -> None:
        self._context = context
        self._keys = keys
        self._drain = drain
        self._signing = threading.Lock()

    def standings(self) -> tuple[LogStanding, ...]:
        """Every log."""
        return tuple(self._standing(log) for log in LOGS)

    def key(self, log: str) -> VerifierKey:
        """The verifier key of a log, which is made the first time."""
        _check_log(log)
        found = self._context.records.read(lambda c: checkpoint_rows.key_of(c, log))
        if found is not None:
            return parse_verifier_key(found)
        with self._signing:
            return self._made_key(log)

    def checkpoint(self, log: str, size: int | None = None) -> Cosigned:
        """The checkpoint of now, signed if the log has grown; or an earlier one by its size.

        Raises:
            NotFoundError: no checkpoint of that size was signed.
        """
        _check_log(log)
        if size is None:
            with self._signing:
                size = self._sign(log).size
        wanted = size

        def query(connection: Connection) -> Cosigned | None:
            row = checkpoint_rows.of_size(connection, log, wanted)
            lines = checkpoint_rows.cosignatures(connection, log, wanted)
            return None if row is None else Cosigned(row=row, cosignatures=lines)

        found = self._context.records.read(query)
        if found is None:
            raise NotFoundError(
                f"no checkpoint of {wanted} entries of the {log} log was signed",
                remedy=f"See the newest: armillary audit checkpoint --log {log}.",
            )
        return found

    def consistency(self, log: str, earlier: int, size: int) -> Proof:
        """The proof that the tree of ``size`` entries begins with that of ``earlier`` entries.

        Raises:
            ConflictError: the log has fewer entries, or the earlier tree is the larger one.
        """
        _check_log(log)
        self._catch_up(log)

        def query(connection: Connection) -> Proof:
            present = _SIZES[log](connection)
            if not 0 <= earlier <= size <= present:
                raise ConflictError(
                    f"the {log} log has {present} entries: there is no proof from {earlier} to {size}",
                    remedy="Ask between the sizes of two checkpoints of this log, the smaller one first.",
                )
            return merkle.consistency_proof(tree.whole_subtrees(connection, log, _LEAVES[log]), earlier, size)

        return self._context.records.read(query)

    def entries(self, log: str, first: int, limit: int) -> tuple[LogEntry, ...]:
        """Entries in their order, from number ``first`` on."""
        _check_log(log)
        most = min(limit, MAX_ENTRIES)
        leaves = self._context.records.read(lambda c: _LEAVES[log](c, first - 1, most))
        return tuple(parse_leaf(each) for each in leaves)

    def numbers_of(self, log: str, target: str) -> tuple[int, ...]:
        """Numbers of the newest entries of a target, at most :data:`MAX_ENTRIES`.

        Raises:
            NotFoundError: it has none.
        """
        _check_log(log)
        if log == AUDIT:
            self._drain()
        found = self._context.records.read(lambda c: _OF_TARGET[log](c, target, MAX_ENTRIES))
        if not found:
            raise NotFoundError(
                f"the {log} log has no entry of {target!r:.80}", remedy="List them: armillary audit entries."
            )
        return found

    def prove(
        self, log: str, numbers: Sequence[int], *, size: int | None = None, since: int | None = None
    ) -> UnverifiedBundle:
        """Entries with proofs against the checkpoint of ``size`` (None: of now), and against an earlier one.

        Raises:
            NotFoundError: no checkpoint of one of these sizes was signed, or it does not cover one of the entries.
            ConflictError: the earlier checkpoint is the newer one.
            InvalidArgumentError: no entries, or too many.
        """
        signed = self.checkpoint(log, size)
        head = TreeHead(signed.row.size, signed.row.root)
        earlier = None if since is None else self.checkpoint(log, since).row
        if not 1 <= len(set(numbers)) <= MAX_ENTRIES:
            raise InvalidArgumentError(
                f"entries: expected 1 to {MAX_ENTRIES}, got {len(set(numbers))}", remedy="Ask for fewer entries."
            )
        if wrong := [each for each in numbers if not 1 <= each <= head.size]:
            raise NotFoundError(
                f"the checkpoint covers entries 1 to {head.size} of the {log} log, not {wrong[0]}",
                remedy="Ask for one of these, or against a newer checkpoint.",
            )
        if earlier is not None and earlier.size > head.size:
            raise ConflictError(
                f"the checkpoint of {earlier.size} entries is newer than that of {head.size}",
                remedy="Name an older checkpoint.",
            )

        key = self.key(log)

        def query(connection: Connection) -> UnverifiedBundle:
            whole = tree.whole_subtrees(connection, log, _LEAVES[log])
            entries = []
            for number in sorted(set(numbers)):
                proof = merkle.inclusion_proof(whole, number - 1, head.size)
                entries += [ProvedLeaf(leaf=each, proof=proof) for each in _LEAVES[log](connection, number - 1, 1)]
            grown = None
            if earlier is not None:
                grown = Earlier(checkpoint=earlier.note, proof=merkle.consistency_proof(whole, earlier.size, head.size))
            keys = (key, *(parse_verifier_key(each) for each in signed.cosignatures))
            return UnverifiedBundle(keys=keys, checkpoint=signed.note, earlier=grown, entries=tuple(entries))

        made = self._context.records.read(query)
        try:  # what was changed behind the service's back is not given out as proof
            whole = len(bundles.verify(made, key).entries) == len(set(numbers))
        except WireError:
            whole = False
        if not whole:
            raise InconsistentLogError(
                f"{log} log", expected=f"the entries that the checkpoint of {head.size} has signed", got="other ones"
            )
        return made

    def catch_up(self) -> None:
        """Make the trees of logs that are older than their trees, in steps; what is there is continued."""
        for log in LOGS:
            self._catch_up(log)

    def _standing(self, log: str) -> LogStanding:
        def query(connection: Connection) -> tuple[int, CheckpointRow | None]:
            return _SIZES[log](connection), checkpoint_rows.newest(connection, log)

        key = self.key(log)
        size, newest = self._context.records.read(query)
        return LogStanding(
            log=log, verifier_key=key.text, size=size, checkpoint_size=None if newest is None else newest.size
        )

    def _made_key(self, log: str) -> VerifierKey:
        """The key of a log whose row may not be there yet; the caller holds the lock."""
        key = self._keys.ed25519(KEY_NAME)
        made = notes.verifier_key(f"{_name_of(key.public_key().public_bytes_raw())}/{log}", notes.ED25519, key)

        def change(connection: Connection) -> str:
            found = checkpoint_rows.key_of(connection, log)
            if found is None:
                checkpoint_rows.add_log(connection, log, made.text, now=self._context.now())
            return found or made.text

        if self._context.records.write(change) != made.text:
            raise DataFolderError(
                f"the key of the {log} log is not the one that signed its checkpoints",
                remedy="Restore records and keys folder from the same backup.",
            )
        return made

    def _sign(self, log: str) -> CheckpointRow:
        if log == AUDIT:
            self._drain()
        self._catch_up(log)
        key = self._made_key(log)

        def query(connection: Connection) -> tuple[TreeHead, CheckpointRow | None]:
            head = TreeHead(size := _SIZES[log](connection), tree.root_of(connection, log, size, _LEAVES[log]))
            newest = checkpoint_rows.newest(connection, log)
            if newest is not None:
                _check_continues(connection, log, newest, head)
            return head, newest

        head, newest = self._context.records.read(query)
        if newest is not None and newest.size == head.size:
            return newest
        text = Checkpoint(key.name, head).text
        line = notes.sign(text, key.name, self._keys.ed25519(KEY_NAME)).line
        made = CheckpointRow(
            log=log, size=head.size, root=head.root, note=f"{text}\n{line}", made_at=self._context.now()
        )
        self._context.records.write(lambda c: checkpoint_rows.add(c, made))
        return made

    def _catch_up(self, log: str) -> None:
        size, leaves, records = _SIZES[log], _LEAVES[log], self._context.records
        if records.read(lambda c: tree.is_caught_up(c, log, size(c))):
            return
        while not records.write(lambda c: tree.catch_up(c, log, size(c), leaves)):
            pass


def _check_continues(connection: Connection, log: str, newest: CheckpointRow, head: TreeHead) -> None:
    """Raise InconsistentLogError unless the log begins with what the newest checkpoint has signed."""
    root = None
    if newest.size <= head.size:
        root = tree.root_of(connection, log, newest.size, _LEAVES[log])
    if root != newest.root:
        raise InconsistentLogError(
            f"{log} log",
            expected=f"to begin with the {newest.size} entries whose root {newest.root.hex()} was signed",
            got=f"{head.size} entries" if root is None else f"the root {root.hex()} of them",
        )


def _name_of(public: bytes) -> str:
    """What the logs of a service are called: its addresses may change, its log key does not."""
    return f"armillary-{sha256(public).hexdigest()[:16]}"


def _check_log(log: str) -> None:
    if log not in LOGS:
        raise NotFoundError(f"there is no log {log!r:.40}", remedy=f"The logs are {' and '.join(LOGS)}.")
