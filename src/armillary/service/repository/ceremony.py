# SPDX-License-Identifier: Apache-2.0
"""Changes of the repository's keys, corrections of clocks, and signatures of keys that are elsewhere. Imports ``tuf``.

A change is proposed; the service signs with the online keys and publishes at once where these are enough. Where they
are not, the metadata waits: it is exported, signed where the keys are, and imported, in as many parts as there are
people. Nothing is published before all of it is signed: a new root together with the metadata of every role whose keys
it changes. A root needs the signatures of its own keys and of the keys of the root before it (TUF 1.0.33 §6.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata
from tuf.api.serialization import DeserializationError

from armillary.engines.records.queries import check_ins as check_in_rows
from armillary.errors import ConflictError, InvalidArgumentError, MetadataRefusedError, NotFoundError, WireError
from armillary.service.context.context import Context
from armillary.service.repository.edition import Edition, key_ids, kind_of, parse_metadata
from armillary.service.repository.publication import Publication
from armillary.service.repository.repository import Repository
from armillary.service.repository.roles import (
    CATALOG_PREFIX,
    DELEGATED,
    MAX_KEYS,
    ONLINE_ALWAYS,
    ROOT,
    SNAPSHOT,
    TIMESTAMP,
    TOP,
    parent_of,
)
from armillary.service.repository.status import RoleStatus, role_keys, role_statuses
from armillary.service.repository.tuf_format import key_of, moment, to_bytes
from armillary.wire.update.clock_correction import ClockCorrection, correction_member

MAX_PEM_BYTES: Final = 4096
# A device is told the time with a challenge as well, which no record shows: so long before its check-in, or after one.
TOLD_BEFORE_S: Final = 3600
# Roles whose metadata a change of keys makes anew by itself: root carries it, the others follow every publication.
MADE_ANEW: Final = frozenset({ROOT, SNAPSHOT, TIMESTAMP})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """The keys that a role is to have: those whose public half is given, and so many that the service makes."""

    role: str
    public_keys: tuple[str, ...] = ()  # PEM, P-256
    online: int = 0
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class Lack:
    """So many signatures of any of these keys are missing of a threshold."""

    missing: int
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMetadata:
    """Metadata that lacks signatures; ``expires_at`` in Unix seconds UTC."""

    role: str
    version: int
    expires_at: int
    signed_by: tuple[str, ...]  # ids of keys
    may_sign: tuple[str, ...]  # ids of keys whose signature counts
    lacks: tuple[Lack, ...]  # of each threshold that is not reached: a new root has that of the one before as well
    document: bytes  # the file

    @property
    def missing(self) -> int:
        """How many signatures are missing at least: a key that counts towards two thresholds signs once."""
        each = [one.missing for one in self.lacks]
        both = set.intersection(*(set(one.key_ids) for one in self.lacks)) if each else set()
        return max([0, *each, sum(each) - len(both)])


class Ceremony:
    """Operations on the repository's keys. Synchronous and thread-safe."""

    def __init__(self, context: Context, repository: Repository) -> None:
        self._context = context
        self._repository = repository

    def roles(self) -> tuple[RoleStatus, ...]:
        """Every role as it is in force; makes the repository where it is not there yet."""
        return role_statuses(self._repository.edition(), self._repository.keys())

    def waiting(self) -> tuple[WaitingMetadata, ...]:
        """What waits for signatures, root first."""
        step = self._step()
        order = sorted(step.staged, key=lambda role: (role not in TOP, role))
        return tuple(self._waiting(step, role) for role in order)

    def propose(self, changes: Sequence[KeyChange], *, actor: str) -> bool:
        """Change keys; returns whether it is in force already: else it waits for the signatures of offline keys.

        Raises:
            InvalidArgumentError: a role, key or threshold that makes no sense.
            NotFoundError: a catalog that has no role.
            ConflictError: an earlier change still waits.
        """
        with self._repository.lock:
            is_done = self._propose(changes)
        detail = {
            "roles": [change.role for change in changes],
            "thresholds": [change.threshold for change in changes],
            "published": is_done,
        }
        self._audit(actor, "repository.change-keys", detail)
        return is_done

    def correct_clock(self, first: int | None = None, last: int | None = None, *, actor: str) -> bool:
        """Have the next root call times that devices were told false; returns whether it is in force already.

        ``first`` and ``last``, Unix seconds UTC, are the earliest and the latest of them; where both are None they are
        those of check-ins that the records have from after now. Devices that believe such a time go back to the
        service's once they meet that root.

        Raises:
            NotFoundError: no device checked in after now, and no times are given.
            InvalidArgumentError: the times are not after now, one is missing, or they are the wrong way round.
            ConflictError: an earlier change still waits.
        """
        now = self._context.now()
        if first is None and last is None:
            first, last = self._told_ahead(now)
        try:
            correction = ClockCorrection(
                at=now, first=-1 if first is None else first, last=-1 if last is None else last
            )
            member = correction_member(correction)
        except WireError as error:
            raise InvalidArgumentError(
                f"false times: expected a first and a last one after now ({now}), got {first} and {last}",
                remedy="Give both, or none: then the service's records say which.",
            ) from error
        with self._repository.lock:
            self._check_free()
            self._repository.publish(lambda step: step.correct_clock(correction))
            is_done = not self._repository.files.pending()
        self._audit(actor, "repository.correct-clock", {**member, "published": is_done})
        return is_done

    def _told_ahead(self, now: int) -> tuple[int, int]:
        """The earliest and the latest time that devices can have been told while the clock ran ahead."""
        found = self._context.records.read(lambda c: check_in_rows.recorded_after(c, now))
        if found is None:
            raise NotFoundError(
                "no device has checked in at a time that is later than now",
                remedy="Look at the service's clock; or say which times were false: --from and --until.",
            )
        return max(now + 1, found[0] - TOLD_BEFORE_S), found[1] + TOLD_BEFORE_S

    def _check_free(self) -> None:
        if self._repository.files.pending():
            raise ConflictError(
                "an earlier change still waits for signatures",
                remedy="Sign it (armillary release keys export, sign, import), or take it back (cancel).",
            )

    def _propose(self, changes: Sequence[KeyChange]) -> bool:
        self._check_free()
        edition = self._repository.edition()
        given = {change.role: _checked(change, edition) for change in changes}
        if len(given) != len(changes) or not changes:
            raise InvalidArgumentError("changes: expected each role once", remedy="Give one change for each role.")
        self._check_apart(edition, given)

        def stage(step: Publication) -> None:
            for change in changes:
                made = [self._repository.keys().create(change.role) for _ in range(change.online)]
                step.give_keys(change.role, [*given[change.role], *made], change.threshold)
            for change in changes:
                if change.role not in MADE_ANEW and step.edition.get(change.role) is not None:
                    step.next(change.role)

        self._repository.publish(stage)
        return not self._repository.files.pending()

    def submit(self, documents: Mapping[str, bytes], *, actor: str) -> bool:
        """Take signatures that were made elsewhere, role -> signed metadata; returns whether all is published now.

        Every document is checked before any signature is kept.

        Raises:
            MetadataRefusedError: one is not what waits, has no new signature, has ended, or has a signature that does
                not count; nothing was kept.
        """
        if not documents:
            raise MetadataRefusedError("there is no metadata in it")
        with self._repository.lock:
            step = self._step()
            for role, content in documents.items():
                step.staged[role] = self._with_signatures(step, role, content)
            self._repository.files.put_pending({role: to_bytes(one) for role, one in step.staged.items()})
            self._repository.publish()
            is_done = not self._repository.files.pending()
        self._audit(actor, "repository.sign", {"roles": sorted(documents), "published": is_done})
        return is_done

    def cancel(self, *, actor: str) -> None:
        """Take back what waits; what is in force stays. NotFoundError if nothing waits."""
        with self._repository.lock:
            step = self._step()
            if not step.staged:
                raise NotFoundError("nothing waits for signatures", remedy="See armillary release keys show.")
            for role in role_keys(step.edition):
                given = set(key_ids(step.edition.get(parent_of(role)), role))
                self._repository.keys().remove(role, set(key_ids(step.staged.get(parent_of(role)), role)) - given)
            self._repository.files.put_pending({})
        self._audit(actor, "repository.cancel", {"roles": sorted(step.staged)})

    # -- parts ----------------------------------------------------------------------------------------------------

    def _step(self) -> Publication:
        step = Publication(self._repository.edition(), self._repository.keys(), self._context.now())
        step.resume(self._repository.files.pending())
        return step

    def _waiting(self, step: Publication, role: str) -> WaitingMetadata:
        metadata = step.staged[role]
        deciding = _delegators(step, role) if role == ROOT else _delegators(step, role)[-1:]
        found = [
            delegator.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
            for delegator in deciding
        ]
        return WaitingMetadata(
            role=role,
            version=metadata.signed.version,
            expires_at=int(metadata.signed.expires.timestamp()),
            signed_by=tuple(metadata.signatures),
            may_sign=tuple(_may_sign(step, role)),
            lacks=tuple(Lack(one.missing, tuple(one.unsigned)) for one in found if one.missing),
            document=to_bytes(metadata),
        )

    def _with_signatures(self, step: Publication, role: str, content: bytes) -> Metadata[Any]:
        """The waiting metadata of a role with the signatures of a document, each of which was verified."""
        known = step.staged.get(role)
        if known is None:
            if role in self._repository.files.pending():
                raise MetadataRefusedError(f"{role}: what waited has ended, or was overtaken; propose it again")
            raise MetadataRefusedError(f"{role}: no metadata of this role waits for signatures")
        try:
            signed = parse_metadata(content, kind_of(role))
        except DeserializationError as error:
            raise MetadataRefusedError(f"{role}: not TUF metadata of this role ({error})") from error
        if signed.signed.is_expired(moment(self._context.now())):
            raise MetadataRefusedError(f"{role}: it ended on {signed.signed.expires:%Y-%m-%d}")
        if signed.signed_bytes != known.signed_bytes:
            raise MetadataRefusedError(
                f"{role}: expected version {known.signed.version} as it was proposed, "
                f"got version {signed.signed.version} with other contents",
                remedy="Export what waits again: armillary release keys export.",
            )
        new = {key_id: one for key_id, one in signed.signatures.items() if key_id not in known.signatures}
        if not new:
            raise MetadataRefusedError(f"{role}: it has no signature that was not known before")
        for key_id, signature in new.items():
            key = self._key_that_counts(step, role, key_id)
            try:
                key.verify_signature(signature, known.signed_bytes)
            except UnverifiedSignatureError as error:
                raise MetadataRefusedError(f"{role}: the signature of {key_id[:16]}... does not verify") from error
        known.signatures.update(new)
        return known

    def _key_that_counts(self, step: Publication, role: str, key_id: str) -> Any:
        for delegator in _delegators(step, role):
            if key_id in key_ids(delegator, role):
                return delegator.signed.get_key(key_id)
        others = [name for name, held in role_keys(step.edition).items() if key_id in held]
        whose = f"a key of the role {others[0]}" if others else "unknown"
        raise MetadataRefusedError(f"{role}: expected signatures by its own keys, got one by {key_id[:16]}..., {whose}")

    def _check_apart(self, edition: Edition, given: Mapping[str, Sequence[SSlibKey]]) -> None:
        """One key has one role: who steals it gets no further."""
        held = {key_id: role for role, found in role_keys(edition).items() for key_id in found if role not in given}
        for role, keys in given.items():
            for key in keys:
                other = held.get(key.keyid)
                if other is not None:
                    raise InvalidArgumentError(
                        f"{role}: the key {key.keyid[:16]}... is a key of the role {other}",
                        remedy="Make a key of its own for each role.",
                    )
                held[key.keyid] = role

    def _audit(self, actor: str, operation: str, detail: Mapping[str, object]) -> None:
        self._context.records.write(lambda c: self._context.audit(c, actor, operation, "repository", detail))


def _delegators(step: Publication, role: str) -> list[Metadata[Any]]:
    """The metadata that gives a role its keys: in force, and waiting."""
    parent = parent_of(role)
    return [one for one in (step.edition.get(parent), step.staged.get(parent)) if one is not None]


def _may_sign(step: Publication, role: str) -> dict[str, None]:
    return dict.fromkeys(key_id for one in _delegators(step, role) for key_id in key_ids(one, role))


def _checked(change: KeyChange, edition: Edition) -> list[SSlibKey]:
    """The offline keys of a change; raises for what makes no sense."""
    role, count = change.role, len(change.public_keys) + change.online
    if role not in TOP and role not in DELEGATED and (not role.startswith(CATALOG_PREFIX) or edition.get(role) is None):
        raise NotFoundError(
            f"there is no role {role!r:.80}", remedy=f"Roles: {', '.join((*TOP, *DELEGATED))}, catalog-ID."
        )
    if role in ONLINE_ALWAYS and change.public_keys:
        raise InvalidArgumentError(
            f"{role}: its keys have to be online, because it signs by itself", remedy="Leave the keys out: --online."
        )
    if not 1 <= count <= MAX_KEYS or change.online < 0:
        raise InvalidArgumentError(f"{role}: expected 1 to {MAX_KEYS} keys, got {count}", remedy="Give other keys.")
    if not 1 <= change.threshold <= count:
        raise InvalidArgumentError(
            f"{role}: expected a threshold from 1 to the number of its keys, {count}, got {change.threshold}",
            remedy="Choose one in between.",
        )
    keys = [_key(role, pem) for pem in change.public_keys]
    if len({key.keyid for key in keys}) != len(keys):
        raise InvalidArgumentError(f"{role}: a key is given twice", remedy="Give each key once.")
    return keys


def _key(role: str, pem: str) -> SSlibKey:
    try:
        key = load_pem_public_key(pem[:MAX_PEM_BYTES].encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidArgumentError(
            f"{role}: expected a public key in PEM, got something else", remedy="Give the .pub.pem file of the key."
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise InvalidArgumentError(f"{role}: expected a P-256 key, got another", remedy="Make a P-256 key.")
    return key_of(key)
