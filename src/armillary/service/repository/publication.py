# SPDX-License-Identifier: Apache-2.0
"""One step of the repository: from the edition in force to the next. Imports ``tuf``.

1. *Stage*: a role whose contents, keys or end call for it gets a new version, without signatures.
2. *Sign* with the online keys, of the role's present and its next set: while keys change, what was published before
   and what comes verify both.
3. *Complete* is what verifies under the delegator that will be in force, and leaves no role below it without one.
   The rest waits for the signatures of offline keys (``pending``), and the edition in force stays.
4. *Publish*: artifacts, roles, snapshot, timestamp, root, in this order; each file is wholly there or not at all. The
   timestamp makes the edition: who fetches before it sees the whole old one, after it the whole new one. A new root
   comes last: what went before verifies by the keys of both, where the old ones are still there to sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from armillary.service.repository.edition import Edition, is_signed, key_ids, kind_of, parse_metadata, verifies
from armillary.service.repository.files import RepositoryFiles
from armillary.service.repository.keys import RepositoryKeys
from armillary.service.repository.roles import (
    CATALOGS,
    CLOCK_SLACK_S,
    DELEGATED,
    DIRECTOR,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP,
    catalog_paths,
    parent_of,
    terms,
)
from armillary.service.repository.tuf_format import moment, to_bytes
from armillary.wire.update.clock_correction import MEMBER, ClockCorrection, correction_member


class Publication:
    """The next edition in the making; ``now`` is in Unix seconds UTC."""

    def __init__(self, edition: Edition, keys: RepositoryKeys, now: int) -> None:
        self.edition = edition
        self.staged: dict[str, Metadata[Any]] = {}
        self._keys = keys
        self._now = now

    # -- stage ----------------------------------------------------------------------------------------------------

    def resume(self, documents: Mapping[str, bytes]) -> None:
        """Go on with metadata that waited for signatures, unless it has ended or was overtaken."""
        for role, content in documents.items():
            try:
                metadata = parse_metadata(content, kind_of(role))
            except DeserializationError:
                continue
            current = self.edition.get(role)
            is_next = current is None or metadata.signed.version == current.signed.version + 1
            if is_next and not metadata.signed.is_expired(moment(self._now)):
                self.staged[role] = metadata

    def coming(self, role: str) -> Metadata[Any] | None:
        """The metadata of a role as it is staged, else as it is in force."""
        return self.staged.get(role) or self.edition.get(role)

    def next(self, role: str) -> Any:
        """The signed part of a role's next version, to be changed; without signatures, which would be void."""
        metadata = self.staged.get(role)
        if metadata is None:
            metadata = deepcopy(self.edition.get(role))
            if metadata is None:
                metadata = Metadata(Targets())
            else:
                metadata.signed.version += 1
                metadata.signed.unrecognized_fields.pop(MEMBER, None)  # a correction of clocks is of one version alone
            self.staged[role] = metadata
        metadata.signatures.clear()
        metadata.signed.expires = moment(self._now + terms(role).life_s)
        return metadata.signed

    def give_keys(self, role: str, keys: Iterable[SSlibKey], threshold: int) -> None:
        """Give a role exactly these keys; a new role of a catalog is delegated."""
        keys = list(keys)
        delegator = self.next(parent_of(role))
        if role in TOP:
            _give_top(delegator, role, keys, threshold)
        else:
            paths = [DELEGATED.get(role) or catalog_paths(role)]
            _delegate(delegator, DelegatedRole(role, [k.keyid for k in keys], threshold, True, paths=paths), keys)

    def correct_clock(self, correction: ClockCorrection) -> None:
        """Have the next root say which times were false; WireError for what is no correction."""
        member = correction_member(correction)
        self.next(ROOT).unrecognized_fields[MEMBER] = member

    def set_targets(self, role: str, wanted: Mapping[str, tuple[int, str]]) -> None:
        """Have a role name exactly these targets, path -> (length, SHA-256 in hex), unless it does."""
        coming = self.coming(role)
        if coming is not None and contents_of(coming) == wanted:
            return
        self.next(role).targets = {
            path: TargetFile(length, {"sha256": digest}, path) for path, (length, digest) in sorted(wanted.items())
        }

    def renew_due(self) -> None:
        """Stage what ends soon, and what its delegator no longer vouches for."""
        for role in (ROOT, TARGETS, *self.edition.delegated):
            metadata = self.edition.get(role)
            if metadata is None or role in self.staged:
                continue
            parent = self.edition.get(parent_of(role))
            vouched = parent is not None and is_signed(parent, role, metadata)
            if metadata.signed.is_expired(moment(self._now + terms(role).renew_s)) or not vouched:
                self.next(role)

    # -- sign -----------------------------------------------------------------------------------------------------

    def sign(self) -> None:
        """Sign what is staged with the online keys."""
        for role, metadata in self.staged.items():
            self._sign(role, metadata)

    def _sign(self, role: str, metadata: Metadata[Any]) -> None:
        parent = parent_of(role)
        delegators = (self.edition.get(parent), self.staged.get(parent))
        wanted = dict.fromkeys(key_id for one in delegators for key_id in key_ids(one, role))
        for signer in self._keys.signers(role, list(wanted)):
            if signer.public_key.keyid not in metadata.signatures:
                metadata.sign(signer, append=True)

    # -- complete -------------------------------------------------------------------------------------------------

    def complete(self) -> dict[str, Metadata[Any]]:
        """What of the staged can be published."""
        found = dict(self.staged)
        while True:
            lacking = [role for role in found if not self._is_complete(role, found)]
            if not lacking:
                return found
            for role in lacking:
                del found[role]

    def _is_complete(self, role: str, found: Mapping[str, Metadata[Any]]) -> bool:
        parent = parent_of(role)
        metadata = found[role]
        if role == ROOT:
            vouched = verifies(self.edition.root, ROOT, metadata) and verifies(metadata, ROOT, metadata)
        else:
            delegator = found.get(parent) or self.edition.get(parent)
            vouched = delegator is not None and verifies(delegator, role, metadata)
        return vouched and all(self._stays(metadata, child, found) for child in self._children(role))

    def _children(self, role: str) -> list[str]:
        """The roles below one whose metadata is not made anew with every publication."""
        if role == ROOT:
            return [TARGETS]
        known = {*self.edition.delegated, *self.staged}
        return [one for one in known if one not in TOP and parent_of(one) == role]

    def _stays(self, delegator: Metadata[Any], child: str, found: Mapping[str, Metadata[Any]]) -> bool:
        metadata = found.get(child) or self.edition.get(child)
        return metadata is None or verifies(delegator, child, metadata)

    # -- publish --------------------------------------------------------------------------------------------------

    def publish(self, files: RepositoryFiles, link: Callable[[str, str], None]) -> bool:
        """Publish what is complete, and keep the rest for its signatures; returns whether there is a new edition.

        ``link`` makes the artifact of a target path and digest available.

        Raises:
            DataFolderError: the disk refuses; the edition in force stays, or the new one is.
        """
        self.sign()
        done = self.complete()
        if done.keys() != self.staged.keys() or ROOT in done:  # the rest follows from the records after a crash
            files.put_pending({role: to_bytes(metadata) for role, metadata in self.staged.items()})
        before = self.edition
        after = Edition(before.root, before.timestamp, before.snapshot, before.targets, dict(before.delegated))
        for role, metadata in done.items():
            after.put(role, metadata)
        self._round_off(after, changed=bool(done))
        is_new = after.timestamp is not before.timestamp
        if is_new:
            self._write(files, before, after, link)
        files.put_pending({role: to_bytes(metadata) for role, metadata in self.staged.items() if role not in done})
        if is_new:
            _clean_up(files, before, after)
        self.edition = after
        self.staged = {role: metadata for role, metadata in self.staged.items() if role not in done}
        return is_new

    def _round_off(self, after: Edition, *, changed: bool) -> None:
        """Make snapshot and timestamp where they no longer fit or end soon."""
        meta = {f"{role}.json": MetaFile(md.signed.version) for role, md in sorted(after.delegated.items())}
        meta[f"{TARGETS}.json"] = MetaFile(after.targets.signed.version)
        if changed or after.snapshot.signed.meta != meta or not self._holds(after, SNAPSHOT):
            after.snapshot = self._top(Metadata(Snapshot(meta=meta)), after, SNAPSHOT)
        version = after.snapshot.signed.version
        if after.timestamp.signed.snapshot_meta.version != version or not self._holds(after, TIMESTAMP):
            after.timestamp = self._top(Metadata(Timestamp(snapshot_meta=MetaFile(version))), after, TIMESTAMP)

    def _holds(self, after: Edition, role: str) -> bool:
        metadata: Any = after.get(role)
        given = terms(role)
        ends = metadata.signed.is_expired(moment(self._now + given.renew_s))
        # Made while the clock was ahead: whoever kept it could freeze devices until then.
        is_too_long = metadata.signed.expires > moment(self._now + given.life_s + CLOCK_SLACK_S)
        return not ends and not is_too_long and verifies(after.root, role, metadata)

    def _top(self, made: Metadata[Any], after: Edition, role: str) -> Metadata[Any]:
        current: Any = after.get(role)
        made.signed.version = current.signed.version + 1
        made.signed.expires = moment(self._now + terms(role).life_s)
        wanted = [*key_ids(self.edition.root, role), *key_ids(after.root, role)]
        for signer in self._keys.signers(role, list(dict.fromkeys(wanted))):
            made.sign(signer, append=True)
        return made

    def _write(self, files: RepositoryFiles, before: Edition, after: Edition, link: Callable[[str, str], None]) -> None:
        for role, metadata in after.delegated.items():
            if before.delegated.get(role) is not metadata:
                for path, (_, digest) in contents_of(metadata).items():
                    link(path, digest)
                files.write(f"{metadata.signed.version}.{role}.json", to_bytes(metadata))
        for role in (TARGETS, SNAPSHOT):
            _write_numbered(files, role, before, after)
        files.write(f"{TIMESTAMP}.json", to_bytes(after.timestamp))
        _write_numbered(files, ROOT, before, after)


def first_edition(keys: RepositoryKeys, now: int) -> Edition:
    """The first edition of a repository, without targets; its keys are made."""
    root = Root(consistent_snapshot=True, expires=moment(now + terms(ROOT).life_s))
    for role in TOP:
        key = keys.create(role)
        root.keys[key.keyid] = key
        root.roles[role] = Role([key.keyid], 1)
    targets = Targets(expires=moment(now + terms(TARGETS).life_s), delegations=Delegations({}, {}))
    catalogs = Targets(expires=moment(now + terms(CATALOGS).life_s), delegations=Delegations({}, {}))
    delegated: dict[str, Metadata[Targets]] = {}
    for role, paths in DELEGATED.items():
        key = keys.create(role)
        _delegate(targets, DelegatedRole(role, [key.keyid], 1, True, paths=[paths]), [key])
        if role != DIRECTOR:
            signed = catalogs if role == CATALOGS else Targets(expires=moment(now + terms(role).life_s))
            delegated[role] = Metadata(signed)
    meta = {f"{role}.json": MetaFile(1) for role in (TARGETS, *delegated)}
    edition = Edition(
        Metadata(root),
        Metadata(Timestamp(snapshot_meta=MetaFile(1), expires=moment(now + terms(TIMESTAMP).life_s))),
        Metadata(Snapshot(meta=meta, expires=moment(now + terms(SNAPSHOT).life_s))),
        Metadata(targets),
        delegated,
    )
    for role in edition.roles:
        metadata: Any = edition.get(role)
        for signer in keys.signers(role, key_ids(edition.get(parent_of(role)), role)):
            metadata.sign(signer, append=True)
    return edition


def write_first(files: RepositoryFiles, edition: Edition) -> None:
    """Publish a first edition; DataFolderError if the disk refuses: then there is none."""
    for role in (*edition.delegated, TARGETS, SNAPSHOT, ROOT):
        metadata: Any = edition.get(role)
        files.write(f"1.{role}.json", to_bytes(metadata))
    files.write(f"{TIMESTAMP}.json", to_bytes(edition.timestamp))


def contents_of(metadata: Metadata[Any]) -> dict[str, tuple[int, str]]:
    """The targets that metadata names: path -> (length, SHA-256 in hex)."""
    return {path: (one.length, one.hashes["sha256"]) for path, one in metadata.signed.targets.items()}


def _write_numbered(files: RepositoryFiles, role: str, before: Edition, after: Edition) -> None:
    metadata: Any = after.get(role)
    if metadata is not before.get(role):
        files.write(f"{metadata.signed.version}.{role}.json", to_bytes(metadata))


def _clean_up(files: RepositoryFiles, before: Edition, after: Edition) -> None:
    """Delete artifacts that nothing names any more, and versions that no client needs."""
    kept = {(path, digest) for one in after.delegated.values() for path, (_, digest) in contents_of(one).items()}
    for role, metadata in before.delegated.items():
        if after.delegated.get(role) is not metadata:
            for path, (_, digest) in contents_of(metadata).items():
                if (path, digest) not in kept:
                    files.unlink(path, digest)
    for role in (TARGETS, SNAPSHOT, *after.delegated):
        metadata_now: Any = after.get(role)
        if metadata_now is not before.get(role):
            files.drop_old(role, metadata_now.signed.version)


def _give_top(root: Root, role: str, keys: list[SSlibKey], threshold: int) -> None:
    root.roles[role] = Role([key.keyid for key in keys], threshold)
    root.keys.update({key.keyid: key for key in keys})
    used = {key_id for one in root.roles.values() for key_id in one.keyids}
    root.keys = {key_id: key for key_id, key in root.keys.items() if key_id in used}


def _delegate(delegator: Targets, role: DelegatedRole, keys: list[SSlibKey]) -> None:
    delegations = delegator.delegations
    if delegations is None or delegations.roles is None:
        delegator.delegations = delegations = Delegations({}, {})
    roles: dict[str, DelegatedRole] = delegations.roles or {}
    roles[role.name] = role
    delegations.roles = roles
    delegations.keys.update({key.keyid: key for key in keys})
    used = {key_id for one in roles.values() for key_id in one.keyids}
    delegations.keys = {key_id: key for key_id, key in delegations.keys.items() if key_id in used}
