# SPDX-License-Identifier: Apache-2.0
"""The life of an OS release before it is in force: created as a draft, signed, published, promoted to everybody.

A draft is nobody's: its components are no reference values, and no device is offered it. It is made of uploaded
component packages, or for a virtual chip built here; signed as a whole or not at all; and published into its feed, from
where it is promoted to the retail feed by a person. What was published never changes; it is revoked
(``Releases.withdraw``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.boot import virtual_chain
from armillary.boot.profile import ChipProfile
from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    images as image_rows,
    releases as release_rows,
)
from armillary.engines.records.schema.rows import OS_FEEDS, OsComponent, OsRelease
from armillary.errors import ConflictError, InvalidArgumentError, SignatureError, WireError
from armillary.service.authority.authority import Authority
from armillary.service.authority.signing_keys import OS
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.named_blobs import kept, remove_unnamed
from armillary.service.registry.os_feeds import check_feed
from armillary.service.updates.bills import lacks_bill
from armillary.service.updates.os_feeds import (
    check_no_stand_in,
    feeds_given,
    is_in_force,
    place_of,
    real_chips,
    systems_of,
)
from armillary.service.updates.rollout_events import check_undecided
from armillary.service.verifier.release_order import check_not_older, check_sortable
from armillary.service.verifier.releases import (
    FIRST_SECURITY_VERSION,
    Releases,
    check_floors,
    check_new,
    check_not_taken_back,
    component_of,
)
from armillary.wire.device_image.started_architecture import started_architecture
from armillary.wire.image import package as image_package
from armillary.wire.image.package import UnverifiedImagePackage
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

MAX_OS_ABI: Final = 2**31 - 1
RETAIL: Final = OS_FEEDS[0]
EVALUATION: Final = OS_FEEDS[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReach:
    """Whom a release concerns.

    Attributes:
        groups, devices: Device groups that get its feed and have devices of its chip, and how many.
        everybody: How many devices of its chip there are in groups of any feed: who gets it once it is promoted.
        running: Devices that boot it.
        alone: Catalogs whose groups of another feed have it by a roll-out for them alone, as "Retail in Contoso".
        ends_stand_ins: Whether it is a draft that would be its chip's first release of real packages: the stand-ins
            that feeds give are given to nobody from then on.
    """

    groups: int
    devices: int
    everybody: int
    running: int
    alone: tuple[str, ...] = ()
    ends_stand_ins: bool = False


class ReleaseDrafts:
    """Operations on releases that are not in force for everybody yet. An unknown release id raises NotFoundError."""

    def __init__(self, context: Context, authority: Authority, blobs: Blobs, chips: Chips, releases: Releases) -> None:
        self._context = context
        self._authority = authority
        self._blobs = blobs
        self._chips = chips
        self._releases = releases

    def create(
        self,
        chip: str,
        version: str,
        *,
        actor: str,
        packages: Mapping[str, bytes] | None = None,
        security_version: int = FIRST_SECURITY_VERSION,
        feed: str = EVALUATION,
        os_abi: int = 0,
    ) -> OsRelease:
        """Make a draft of component packages (component name -> package), or of ones built here where none are given.

        What is built here is signed. Uploaded packages count as signed if each bears the signature of this service's
        OS signer.

        Raises:
            NotFoundError: no such chip.
            InvalidArgumentError: version, feed, ABI or security version; a component that is missing, is none of the
                chip's, is empty, is larger than its slot, is below a security floor, or is for other processors.
            ConflictError: the chip has a release of this version; or it is of stand-ins, and the chip has had one with
                real packages.
            WireError: a package breaks its format.
        """
        profile = self._chips.get(chip)
        check_sortable(version)
        self._context.records.read(lambda c: check_feed(c, feed))  # before anything is built
        for name, value, most in (
            ("os_abi", os_abi, MAX_OS_ABI),
            ("security version", security_version, SECURITY_VERSION_LIMIT),
        ):
            if not 0 <= value <= most:
                raise InvalidArgumentError(f"{name}: expected 0 to {most}, got {value}", remedy="Use such a number.")
        is_signed = packages is None
        if packages is None:
            packages = self._built(profile, version, security_version)
        _check_whole(profile, packages)
        components = tuple(_component(profile, each.name, packages) for each in profile.boot_components)
        is_signed = is_signed or all(self._is_signed(package) for package in packages.values())
        now = self._context.now()
        draft = OsRelease(
            release_id=uuid4(),
            chip=chip,
            version=version,
            feed=feed,
            components=components,
            created_at=now,
            os_abi=os_abi,
            signed_at=now if is_signed else None,
            signer=self._authority.os_signer.serial if is_signed else "",
            is_stand_in=any(virtual_chain.is_stand_in(package) for package in packages.values()),
        )

        def change(connection: Connection) -> None:
            check_feed(connection, feed)
            check_new(connection, chip, version)
            check_no_stand_in(connection, draft)
            check_floors(connection, draft)
            _check_ids(connection, draft)
            release_rows.add(connection, draft)
            detail = {"chip": chip, "version": version, "feed": feed, "signed": is_signed}
            self._context.audit(connection, actor, "release.create", str(draft.release_id), detail)

        with kept(self._context.records, self._blobs, packages.values()):
            self._context.records.write(change)
        return draft

    def sign(self, release_id: UUID, *, actor: str) -> OsRelease:
        """Sign every component of a draft with this service's OS signer; ConflictError if it was published."""
        found = self._draft(release_id, "signed")
        signer = self._authority.os_signer
        packages = [image_package.parse(self._blobs.read(one.digest)) for one in found.components]
        signed = [image_package.resign(each, key=signer.key, certificate=signer.certificate) for each in packages]
        components = tuple(
            replace(one, digest=sha256(package).digest(), size=len(package))
            for one, package in zip(found.components, signed, strict=True)
        )
        made = replace(found, components=components, signed_at=self._context.now(), signer=signer.serial)
        with kept(self._context.records, self._blobs, signed):
            self._change(found, made, "release.sign", {}, actor)
        for one in found.components:
            with self._blobs.held(one.digest):
                remove_unnamed(self._context.records, self._blobs, one.digest)
        return made

    def publish(self, release_id: UUID, *, actor: str, allow_older: bool = False) -> OsRelease:
        """Put a signed draft in force: its components become reference values, its feed's groups are offered it.

        With ``allow_older`` it may be older than what its feed gives, which devices then go back to.

        Raises:
            ConflictError: it was published, its time is over, it is not signed by a key that devices trust, has no
                bill of materials where one is required, the feed has a newer one, a roll-out decides for its feed, or
                it is of stand-ins and the chip has had one with real packages.
            InvalidArgumentError: a security floor was raised above it.
        """
        found = self._draft(release_id, "published")
        if found.signed_at is None:
            raise ConflictError(
                f"release {found.version} of {found.chip} is not signed",
                remedy="Sign it first: armillary release sign.",
            )
        if found.signer not in self._authority.signing.newest.trusted[OS]:
            raise ConflictError(
                f"release {found.version} of {found.chip} is signed by a key that was dropped",
                remedy="Sign it again: armillary release sign.",
            )
        # Published, it would take what is equal to the byte out of force (living_of in service/updates/os_feeds.py).
        if not is_in_force(found, self._context.now()):
            raise ConflictError(
                f"release {found.version} of {found.chip} is over: its time has ended",
                remedy="Give it a later end, or none: armillary release set-expiry.",
            )
        made = replace(found, published_at=self._context.now())
        return self._change(found, made, "release.publish", {"feed": found.feed}, actor, allow_older=allow_older)

    def promote(self, release_id: UUID, *, actor: str, allow_older: bool = False) -> OsRelease:
        """Give a release of the evaluation feed, or of one's own, to everybody; ``allow_older`` as in :meth:`publish`.

        Raises:
            ConflictError: it is not in force or in the retail feed already, or a roll-out decides for it, or its chip.
            InvalidArgumentError: a security floor was raised above it.
        """
        found = self._releases.get(release_id)
        is_over = found.expires_at is not None and found.expires_at <= self._context.now()
        why_not = (
            ("not published", found.published_at is None),
            ("revoked", found.withdrawn_at is not None),
            ("over: its time has ended", is_over),
            (f"in {RETAIL}", found.feed == RETAIL),
        )
        reason = next((reason for reason, holds in why_not if holds), "")
        if reason:
            raise ConflictError(
                f"release {found.version} of {found.chip} is {reason}",
                remedy="Promote a published release that is in another feed.",
            )
        made = replace(found, feed=RETAIL)
        return self._change(found, made, "release.promote", {"from": found.feed}, actor, allow_older=allow_older)

    def reach(self, release_id: UUID) -> ReleaseReach:
        """Whom a release concerns now."""
        found = self._releases.get(release_id)

        def query(connection: Connection) -> ReleaseReach:
            follows = release_rows.follows(connection)
            groups, devices = release_rows.devices_of_feeds(connection, found.chip, feeds_given(found.feed, follows))
            _, everybody = release_rows.devices_of_feeds(connection, found.chip, tuple(follows))
            running = release_rows.devices_running(connection, found.chip, found.version)
            systems, known = systems_of(connection, now=self._context.now()), catalog_rows.catalogs(connection)
            alone = tuple(
                f"{feed} in {one.name}"
                for feed in follows
                for one in known
                if one.catalog_id in systems.having_alone(release_id, feed)
            )
            ends_stand_ins = (
                found.published_at is None
                and not found.is_stand_in
                and found.chip not in real_chips(systems.releases)
                and any(one.chip == found.chip and one.is_stand_in for one in systems.releases)
            )
            return ReleaseReach(
                groups=groups,
                devices=devices,
                everybody=everybody,
                running=running,
                alone=alone,
                ends_stand_ins=ends_stand_ins,
            )

        return self._context.records.read(query)

    def _change(
        self,
        before: OsRelease,
        made: OsRelease,
        operation: str,
        detail: Mapping[str, object],
        actor: str,
        *,
        allow_older: bool = False,
    ) -> OsRelease:
        """Record a release if it still is as it was read."""

        def change(connection: Connection) -> None:
            every = release_rows.every(connection, drafts=True)
            if before not in every:
                raise ConflictError(
                    f"release {before.version} of {before.chip} was changed meanwhile", remedy="Look at it again."
                )
            said = {"chip": made.chip, "version": made.version, **detail}
            if operation in ("release.publish", "release.promote"):
                check_no_stand_in(connection, made)
                check_floors(connection, made)
                check_not_taken_back(connection, made, now=self._context.now())
                check_undecided(connection, made, made.feed, now=self._context.now())
                if not allow_older:
                    check_not_older(connection, made, now=self._context.now())
            if operation == "release.publish" and lacks_bill(self._context, connection, made.release_id):
                said["without_bill"] = True
            place = place_of(connection, made, now=self._context.now())
            release_rows.change(connection, made, at=self._context.now(), before=place)
            self._context.audit(connection, actor, operation, str(made.release_id), said)

        self._context.records.write(change)
        self._releases.refresh()
        return made

    def _draft(self, release_id: UUID, done: str) -> OsRelease:
        found = self._releases.get(release_id)
        if found.published_at is not None or found.withdrawn_at is not None:
            raise ConflictError(
                f"release {found.version} of {found.chip} is no draft any more: it cannot be {done}",
                remedy="What was published never changes; make another release.",
            )
        return found

    def _built(self, profile: ChipProfile, version: str, security_version: int) -> Mapping[str, bytes]:
        signer = self._authority.os_signer
        return virtual_chain.build(
            profile,
            version,
            built=self._context.now(),
            security_version=security_version,
            key=signer.key,
            certificate=signer.certificate,
        )

    def _is_signed(self, package: bytes) -> bool:
        try:
            image_package.verify(image_package.parse(package), [self._authority.os_signer.certificate])
        except SignatureError:
            return False
        return True


def _component(profile: ChipProfile, name: str, packages: Mapping[str, bytes]) -> OsComponent:
    """A component of a draft, checked against the chip's."""
    package = packages[name]
    expected = next(each for each in profile.boot_components if each.name == name)
    if len(package) > expected.size_limit_bytes:
        raise InvalidArgumentError(
            f"component {name}: expected at most {expected.size_limit_bytes} bytes (its slot on {profile.name}), "
            f"got {len(package)}",
            remedy="Make it smaller.",
        )
    parsed: UnverifiedImagePackage = image_package.parse(package)
    if (parsed.image_type, parsed.component_id) != (expected.image_type, expected.component_id):
        raise InvalidArgumentError(
            f"component {name}: expected image type {expected.image_type} of component {expected.component_id}, got "
            f"{parsed.image_type} of {parsed.component_id}",
            remedy=f"Use the package of {name} for {profile.name}.",
        )
    _check_payload(profile, name, parsed.payload)
    return component_of(name, package, parsed)


def _check_payload(profile: ChipProfile, name: str, payload: bytes) -> None:
    """Raise InvalidArgumentError for a payload that no device of the chip can start, as far as it says so itself."""
    if not payload:
        raise InvalidArgumentError(
            f"component {name}: expected a payload, got a package without one",
            remedy="Pack it again; of a device image: armillary image package.",
        )
    try:
        architecture = started_architecture(payload)
    except WireError:  # not what firmware or U-Boot starts: it does not say
        return
    if architecture != profile.architecture:
        raise InvalidArgumentError(
            f"component {name}: expected what a processor of {profile.architecture} starts ({profile.name}), got what "
            f"one of {architecture or 'another architecture'} starts",
            remedy="Use the packages of an image that was built for this chip: armillary image build --arch.",
        )


def _check_whole(profile: ChipProfile, packages: Mapping[str, bytes]) -> None:
    """Raise InvalidArgumentError unless there is a package for each boot component of the chip and no other."""
    names = {each.name for each in profile.boot_components}
    if names != packages.keys():
        wrong = [f"no {name}" for name in sorted(names - packages.keys())]
        wrong += [f"an unknown {name!r:.40}" for name in sorted(packages.keys() - names)]
        raise InvalidArgumentError(
            f"components: expected {', '.join(sorted(names))} of {profile.name}, got {', '.join(wrong)}",
            remedy="A release has all boot components of its chip.",
        )


def _check_ids(connection: Connection, release: OsRelease) -> None:
    """Raise InvalidArgumentError for an image id that an application has: an offer could not tell them apart."""
    for one in release.components:
        if image_rows.of_id(connection, one.image_id):
            raise InvalidArgumentError(
                f"component {one.name}: image id {one.image_id} is an application's",
                remedy="Pack it again: every build has an image id of its own.",
            )
