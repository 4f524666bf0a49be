# SPDX-License-Identifier: Apache-2.0
"""The signing keys of a service are renewed, and its devices with them: made, waited for, put in force, dropped.

1. :meth:`TrustStores.renew` makes the next key, and a trusted key store that names it beside those of before, packed
   once for each key by which some device may know the service. Devices are offered it before anything else
   (``authority/trust_chain.py``).
2. Once every device that is here has it, or an operator says so, the next key is put in force: what is uploaded, built
   and released from then on is signed by it.
3. :meth:`TrustStores.drop` makes a store without the old key, after its images were signed again; it is refused while
   an OS release that devices get is signed by it.

Roots of the service are renewed by their own rules, and devices follow them by themselves (``authority/vouchers.py``);
some weeks later those that have not get a certificate store with the roots that are valid.

Each step is one transaction with its audit line. Cut before it, a key and a package are left over that nothing names.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import uuid4

import structlog
from cryptography import x509
from sqlalchemy import Connection

from armillary.engines.records.queries import rollouts as rollout_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.engines.records.queries.planning.trust_stores import KEYS, ROOTS, Having
from armillary.engines.records.schema.update_rows import TrustPackage, TrustStoreRow
from armillary.errors import ArmillaryError, ConflictError, HostError, InvalidArgumentError, NotFoundError
from armillary.service.authority.authority import Authority
from armillary.service.authority.issued import ACTOR
from armillary.service.authority.life import DAY_S
from armillary.service.authority.signing_keys import IMAGES, KINDS, OS, SIGNING_RENEWAL_S, content_of
from armillary.service.authority.trust_chain import FORMS
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.updates.images import Images
from armillary.service.updates.os_feeds import real_chips, signed_by_key, systems_of
from armillary.wire.image import package as image_package
from armillary.wire.update.trust_store import (
    MAX_ROOTS,
    MAX_SIGNERS,
    CertificateStore,
    encode_certificate_store,
    encode_key_store,
    trusted_digest,
)

# A device that was not here for so long is not waited for: it gets the store before anything else when it is back.
AWAY_S: Final = 30 * DAY_S
# The next key is put in force with so much left of the present one's certificate, whoever has not got the store.
LAST_S: Final = 30 * DAY_S
# So long devices that meet a new root follow it by themselves, without the restart that a certificate store costs.
ROOT_SETTLED_S: Final = 14 * DAY_S
# While a key waits, devices are counted so often.
COUNTED_S: Final = 60

_SHOW: Final = "Look at what devices have: armillary release signing-keys show."
_log = structlog.get_logger("armillary.service.updates.trust_stores")


class SigningKey(NamedTuple):
    """A signing key that devices are to trust; ``state`` is ``old``, ``in force`` or ``next``."""

    purpose: str
    serial: str
    state: str
    subject: str
    ends_at: int  # Unix seconds UTC: the end of its certificate


@dataclass(frozen=True, slots=True)
class StoreStanding:
    """A trust store, and how many devices have it and have not."""

    store: TrustStoreRow
    devices: Having


class TrustStores:
    """Operations on signing keys and the stores that name them. Synchronous and thread-safe."""

    def __init__(self, context: Context, authority: Authority, blobs: Blobs, images: Images, notices: Notices) -> None:
        self._context = context
        self._authority = authority
        self._blobs = blobs
        self._images = images
        self._notices = notices
        self._lock = threading.Lock()  # one change at a time
        self._counted_at = 0
        self._held_up = ""  # what the log says already

    # -- reading --------------------------------------------------------------------------------------------------

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """The signing keys that devices are to trust, by purpose, oldest first."""
        found = []
        for purpose in KINDS:
            trusted, active = self._authority.signing.trusted(purpose), self._authority.signing.signer(purpose).serial
            at = [one.serial for one in trusted].index(active)
            for number, one in enumerate(trusted):
                state = "old" if number < at else "in force" if number == at else "next"
                found.append(SigningKey(purpose, one.serial, state, one.subject, one.not_after))
        return tuple(found)

    def stores(self) -> tuple[StoreStanding, ...]:
        """Every trust store, oldest first, with the devices that have exactly this one."""
        since = self._context.now() - AWAY_S

        def query(connection: Connection) -> tuple[StoreStanding, ...]:
            return tuple(
                StoreStanding(one, store_rows.having(connection, one, seen_since=since))
                for one in store_rows.every(connection)
            )

        return self._context.records.read(query)

    # -- changing -------------------------------------------------------------------------------------------------

    def renew(self, purposes: Sequence[str] = (OS, IMAGES), *, actor: str) -> TrustStoreRow:
        """Make the next key of each purpose, and the store with which devices learn of it.

        Raises:
            InvalidArgumentError: no such purpose, or one twice.
            ConflictError: another key still waits, or a store is full.
            SignerError: a token that does not answer.
            DataFolderError: the disk refuses.
        """
        if not purposes or len(set(purposes)) != len(purposes) or not set(purposes) <= KINDS.keys():
            raise InvalidArgumentError(
                f"purposes: expected {OS}, {IMAGES} or both, got {', '.join(purposes)!r:.40}",
                remedy="Name each once.",
            )
        signing = self._authority.signing
        with self._lock:
            if signing.newest.in_force_at is None:
                raise ConflictError("the last key that was made is not in force yet", remedy=_SHOW)
            if any(len(signing.newest.trusted[purpose]) >= MAX_SIGNERS for purpose in purposes):
                raise ConflictError(
                    f"devices trust {MAX_SIGNERS} keys of a purpose at most, and do",
                    remedy="Drop an old one first: armillary release signing-keys drop SERIAL.",
                )
            made = {purpose: signing.make_next(purpose) for purpose in purposes}
            found = {
                purpose: (*signing.trusted(purpose), *([made[purpose]] if purpose in made else [])) for purpose in KINDS
            }
            store = self._store(found)
            detail = {"store": store.number, "serials": [one.serial for one in made.values()]}
            return self._record(store, "signing-key.renew", detail, actor, tuple(made.values()))

    def put_in_force(self, *, actor: str, despite: bool = False) -> TrustStoreRow:
        """Sign with the next key from now on; ``despite`` devices that have not its store.

        These are offered nothing that the next key signed before they have taken the store.

        Raises:
            ConflictError: no key waits, or devices lack the store.
        """
        with self._lock:
            store = self._authority.signing.newest
            if store.in_force_at is not None:
                raise ConflictError("no signing key waits", remedy="Make one: armillary release signing-keys renew.")
            now = self._context.now()
            # Counted before the transaction, in which every device would be looked at while check-ins wait for it.
            lacking = self._context.records.read(lambda c: store_rows.having(c, store, seen_since=now - AWAY_S))
            if lacking.is_lacked and not despite:
                raise ConflictError(
                    f"devices without trusted key store {store.number}: {lacking.waiting} may still take it, "
                    f"{lacking.refused} refused it, {lacking.unable} cannot take one",
                    remedy="Wait, or leave them behind: armillary release signing-keys use --despite.",
                )

            def change(connection: Connection) -> None:
                store_rows.put_in_force(connection, KEYS, store.number, now=now)
                detail = {"store": store.number, **lacking._asdict()}
                self._context.audit(connection, actor, "signing-key.use", str(store.number), detail)

            self._context.records.write(change)
            return self._changed()

    def drop(self, serial: str, *, actor: str) -> TrustStoreRow:
        """Have devices trust a signing key no longer; a next key that is dropped never comes into force.

        Application images that it signed are signed again first, each whole: cut there, the same call goes on.

        Raises:
            NotFoundError: devices are not to trust such a key.
            ConflictError: it is in force, another key waits, or an OS release that devices get is signed by it.
            DataFolderError: the disk refuses.
        """
        with self._lock:
            key = next((one for one in self.signing_keys() if one.serial == serial.upper()), None)
            if key is None:
                raise NotFoundError(f"there is no signing key {serial!r:.60}", remedy=_SHOW)
            newest = self._authority.signing.newest
            if key.state == "in force" or (newest.in_force_at is None and key.state != "next"):
                raise ConflictError(
                    f"signing key {key.serial} cannot be dropped: "
                    + ("it signs now" if key.state == "in force" else "the next key is not in force yet"),
                    remedy="Put another one in force first: armillary release signing-keys renew, then use.",
                )
            self._context.records.read(lambda c: self._check_releases(c, key))  # before anything is signed anew
            if key.purpose == IMAGES:
                self._images.sign_again(key.serial, actor=actor)
            found = {
                purpose: tuple(one for one in self._authority.signing.trusted(purpose) if one.serial != key.serial)
                for purpose in KINDS
            }
            # A next key of the other purpose waits on: the last key of a store in force is the one that signs.
            waits = any(one.state == "next" and one.serial != key.serial for one in self.signing_keys())
            store = self._store(found, in_force_at=None if waits else self._context.now())
            detail = {"store": store.number, "purpose": key.purpose}
            return self._record(store, "signing-key.drop", detail, actor, dropped=key)

    def look(self) -> None:
        """Renew what ends soon, put in force what devices have, drop what has ended; quick where nothing is due."""
        now = self._context.now()
        if 0 <= now - self._counted_at < COUNTED_S:
            return
        self._counted_at = now
        try:
            self._follow_roots(now)
            self._look_at_keys(now)
        except ConflictError as error:  # devices lack the store, or a release needs the key: looked at again
            if error.message != self._held_up:
                _log.warning("signing keys wait", reason=error.message, remedy=error.remedy)
            self._held_up = error.message
        except HostError as error:  # what is in force stays in force
            _log.error("trust stores could not be renewed", error=error.message, remedy=error.remedy)
        else:
            self._held_up = ""

    # -- within ---------------------------------------------------------------------------------------------------

    def _look_at_keys(self, now: int) -> None:
        ends = {one.purpose: one.ends_at for one in self.signing_keys() if one.state == "in force"}
        if self._authority.signing.newest.in_force_at is None:
            self.put_in_force(actor=ACTOR, despite=min(ends.values()) - now < LAST_S)
        elif due := [purpose for purpose, end in ends.items() if end - now < SIGNING_RENEWAL_S]:
            self.renew(due, actor=ACTOR)
        else:
            over = [one for one in self.signing_keys() if one.state == "old" and one.ends_at <= now]
            for key in sorted(over, key=lambda one: one.purpose == OS):  # those last: a release may need one still
                self.drop(key.serial, actor=ACTOR)

    def _follow_roots(self, now: int) -> None:
        """Make the next certificate store where a root is valid that the newest one does not name, and has settled.

        The newest one is packed anew once another OS signing key is in force.
        """
        with self._lock:
            known = self._context.records.read(lambda c: store_rows.every(c, ROOTS))
            valid = self._authority.roots.valid()[-MAX_ROOTS:]
            new = [one for one in valid if not known or one.serial not in known[-1].trusted[ROOTS]]
            if known and new and now - new[-1].issued_at < ROOT_SETTLED_S:
                return
            if not new and not self._is_beyond_reach(known[-1]):
                return
            named = valid if new else self._authority.signing.certificates(known[-1].trusted[ROOTS])
            content = CertificateStore(tuple(x509.load_der_x509_certificate(one.der) for one in named))
            store = TrustStoreRow(
                kind=ROOTS,
                number=len(known),
                trusted={ROOTS: tuple(one.serial for one in named)},
                digest=trusted_digest(content),
                created_at=now,
                in_force_at=now,
                packages=self._packed(ROOTS, encode_certificate_store(content)) if known else (),
            )
            if known:
                self._record(store, "trust-store.roots", {"roots": list(store.trusted[ROOTS])}, ACTOR)
            else:  # what devices were made with
                self._context.records.write(lambda c: store_rows.add(c, store))

    def _is_beyond_reach(self, store: TrustStoreRow) -> bool:
        """Whether a store has packages, and none that a device takes which trusts the OS signing key in force alone."""
        signers = {one.signed_by for one in store.packages}
        return bool(signers) and self._authority.signing.signer(OS).serial not in signers

    def _store(
        self, found: Mapping[str, Sequence[CertificateRecord]], *, in_force_at: int | None = None
    ) -> TrustStoreRow:
        """The next trusted key store, packed and kept as blobs."""
        content = content_of(found)
        return TrustStoreRow(
            kind=KEYS,
            number=self._authority.signing.newest.number + 1,
            trusted={purpose: tuple(one.serial for one in ones) for purpose, ones in found.items()},
            digest=trusted_digest(content),
            created_at=self._context.now(),
            in_force_at=in_force_at,
            packages=self._packed(KEYS, encode_key_store(content)),
        )

    def _packed(self, kind: str, payload: bytes) -> tuple[TrustPackage, ...]:
        """The packages of a store."""
        component_id, image_type, name = FORMS[kind]
        found = []
        for signer in self._authority.signing.vouching():
            image_id = uuid4()
            sections = image_package.standard_sections(
                image_type=image_type,
                component_id=component_id,
                image_id=image_id,
                name=name,
                built=self._context.now(),
            )
            package = image_package.build(payload, sections=sections, key=signer.key, certificate=signer.certificate)
            found.append(
                TrustPackage(
                    image_id=image_id,
                    size=len(package),
                    sha256=self._blobs.write(package),
                    signed_by=signer.serial,
                )
            )
        return tuple(found)

    def _record(
        self,
        store: TrustStoreRow,
        operation: str,
        detail: Mapping[str, object],
        actor: str,
        made: Sequence[CertificateRecord] = (),
        *,
        dropped: SigningKey | None = None,
    ) -> TrustStoreRow:
        def change(connection: Connection) -> frozenset[bytes]:
            if dropped is not None:
                self._check_unused(connection, dropped)
            self._authority.issued.record(connection, made)
            gone = store_rows.add(connection, store)
            target = str(store.number) if dropped is None else dropped.serial
            self._context.audit(connection, actor, operation, target, detail)
            return gone

        try:
            gone = self._context.records.write(change)
        except ArmillaryError:
            self._remove_unnamed(one.sha256 for one in store.packages)
            raise
        newest = self._changed()
        self._remove_unnamed(gone)
        return newest

    def _remove_unnamed(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            with self._blobs.held(digest):
                self._images.remove_unnamed(digest)

    def _changed(self) -> TrustStoreRow:
        self._authority.signing.reload()
        self._notices.artifacts_changed()
        self._notices.groups_changed()
        return self._authority.signing.newest

    def _check_unused(self, connection: Connection, key: SigningKey) -> None:
        """Raise ConflictError while devices get something that a key signed."""
        self._check_releases(connection, key)
        if store_rows.signed_images(connection, key.serial):
            raise ConflictError("an image that it signed was uploaded meanwhile", remedy="Drop it again.")

    def _check_releases(self, connection: Connection, key: SigningKey) -> None:
        """Raise ConflictError while devices get OS releases that a key signed; it names them, and what to do."""
        systems = systems_of(connection, now=self._context.now())
        releases = {one.release_id: one for one in systems.releases}
        given = sorted(
            {one for _, each in systems.each(None) for one in signed_by_key(each, systems.follows, key.serial)}
        )
        brought = [
            (one.rollout_id, releases[one.release_id])
            for one in rollout_rows.living(connection)
            if one.release_id is not None and releases[one.release_id].signer == key.serial
        ]
        if given or brought:
            found = [f"OS {version} of {chip} in {feed}" for chip, feed, version in given]
            found += [f"OS {release.version} of {release.chip} in roll-out {id_}" for id_, release in brought]
            real = real_chips(systems.releases)
            commands = [
                f"armillary release publish --chip {chip} --os-feed {feed} --os-version VERSION"
                if chip not in real
                else f"armillary release create --chip {chip} --os-feed {feed} --os-version VERSION "
                "--component NAME=FILE, sign and publish it"
                for chip, feed, _ in given
            ]
            commands += [f"armillary rollout show --rollout {id_}, and end it" for id_, _ in brought]
            raise ConflictError(
                f"signing key {key.serial} has signed what devices get: {', '.join(found)}",
                remedy=f"Release what the key in force signs, then drop it: {'; '.join(commands)}.",
            )
