# SPDX-License-Identifier: Apache-2.0
"""OS releases: published, expired, withdrawn; their components are the verifier's reference values.

The release of a virtual chip is built by ``boot/virtual_chain``: its payloads are stand-ins, everything around them
is real. They are given to devices of a chip until it has its first release with real packages, and never again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.attest.reference import ReferenceValue, ReferenceValues, ReleaseStanding
from armillary.boot import virtual_chain
from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.schema.rows import OS_FEEDS, OsComponent, OsRelease
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.authority.authority import Authority
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.named_blobs import kept
from armillary.service.registry.os_feeds import check_feed
from armillary.service.updates.os_feeds import (
    check_no_stand_in,
    given_to,
    is_in_force,
    living_of,
    newest_given,
    place_of,
    real_chips,
)
from armillary.service.updates.rollout_events import check_undecided, hold_of_release
from armillary.service.verifier.release_order import check_not_older, check_sortable
from armillary.wire.encoding.cbor_fields import MAX_TIME
from armillary.wire.image import package as image_package
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

# The first release of a new service; its packages are the same in every service with the same signing key and day.
FIRST_VERSION = "26.11"
FIRST_SECURITY_VERSION = 1
NO_REASON = "no reason was given."
MAX_REASON_BYTES = 512  # fits an appraisal step's detail, wire/device/checkin.py
# A version is a part of the paths under which the repository serves its components (service/repository/files.py).
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,31}", re.ASCII)


class Releases:
    """Operations on OS releases. An unknown release id raises NotFoundError."""

    def __init__(self, context: Context, authority: Authority, blobs: Blobs, chips: Chips) -> None:
        self._context = context
        self._authority = authority
        self._blobs = blobs
        self._chips = chips
        self._reference = ReferenceValues(())
        self._lock = threading.Lock()
        self.on_change: list[Callable[[], None]] = []  # called after each refresh

    @property
    def reference(self) -> ReferenceValues:
        """The known good boot components; another object whenever something changed."""
        return self._reference

    def refresh(self) -> None:
        """Read releases and floors again."""

        def query(connection: Connection) -> ReferenceValues:
            releases = release_rows.every(connection)
            real = real_chips(releases)
            values = [
                ReferenceValue(
                    component_id=component.component_id,
                    image_type=component.image_type,
                    digest=component.digest,
                    security_version=component.security_version,
                    chip=release.chip,
                    os_version=release.version,
                )
                for release in releases
                for component in release.components
            ]
            standings = [
                ReleaseStanding(
                    chip=release.chip,
                    os_version=release.version,
                    published_at=release.published_at or release.created_at,
                    expires_at=release.expires_at,
                    withdrawn="" if release.withdrawn_at is None else release.withdrawn_reason or NO_REASON,
                    retail=release.feed == OS_FEEDS[0] and not (release.is_stand_in and release.chip in real),
                    publication=place,
                )
                for place, release in enumerate(releases)  # within a chip they are in the order of publication
            ]
            floors = {(floor.chip, floor.image_type): floor.minimum for floor in release_rows.floors(connection)}
            return ReferenceValues(values, floors, standings)

        with self._lock:  # two changes at once: the later one reads what the earlier one wrote
            self._reference = self._context.records.read(query)
        for call in self.on_change:
            call()

    def make_first(self) -> None:
        """Publish the first release of every chip; part of a new service's first start."""
        for name in self._chips.names:
            made, packages = self._built(name, FIRST_VERSION, FIRST_SECURITY_VERSION, OS_FEEDS[0])
            with kept(self._context.records, self._blobs, packages):
                self.add(made, "release.publish", {"security_version": FIRST_SECURITY_VERSION}, actor="first start")

    def publish(
        self,
        chip: str,
        version: str,
        *,
        actor: str,
        security_version: int = FIRST_SECURITY_VERSION,
        feed: str = "Retail",
        allow_older: bool = False,
    ) -> OsRelease:
        """Build, sign and publish a release of the virtual chain for a chip; ``allow_older`` as in :meth:`add`.

        Raises:
            NotFoundError: no such chip.
            InvalidArgumentError: version, security version or feed, or it is below a security floor.
            ConflictError: the chip has a release of this version, or has had one with real packages; the feed has a
                newer one, a roll-out decides for it in this feed, or a bill of materials is required: then it takes a
                draft, to which the bill is added before it is published.
        """
        policy = self._context.settings.bill_of_materials
        if policy == "required":
            raise ConflictError(
                "a release that is built and published at once has no bill of materials, and the setting "
                "bill_of_materials requires one",
                remedy="Make a draft, and add the bill before it is published: armillary release create, add-sbom.",
            )
        release, packages = self._built(chip, version, security_version, feed)
        detail: dict[str, object] = {"security_version": security_version}
        if policy == "warned":
            detail["without_bill"] = True
        with kept(self._context.records, self._blobs, packages):
            return self.add(release, "release.publish", detail, actor=actor, allow_older=allow_older)

    def _built(self, chip: str, version: str, security_version: int, feed: str) -> tuple[OsRelease, Collection[bytes]]:
        """A release of the virtual chain with its packages, of which nothing is kept yet."""
        profile = self._chips.get(chip)
        check_sortable(version)
        if not 0 <= security_version <= SECURITY_VERSION_LIMIT:
            raise InvalidArgumentError(
                f"security version: expected 0 to {SECURITY_VERSION_LIMIT}, got {security_version}",
                remedy="Raise it by one when a release fixes what must not come back.",
            )
        self._context.records.read(lambda c: check_feed(c, feed))  # before anything is built
        now = self._context.now()
        signer = self._authority.os_signer
        packages = virtual_chain.build(
            profile,
            version,
            built=now,
            security_version=security_version,
            key=signer.key,
            certificate=signer.certificate,
        )
        release = OsRelease(
            release_id=uuid4(),
            chip=chip,
            version=version,
            feed=feed,
            components=tuple(
                component_of(name, package, image_package.parse(package)) for name, package in packages.items()
            ),
            created_at=now,
            signed_at=now,
            signer=signer.serial,
            is_stand_in=True,
        )
        return release, packages.values()

    def add(
        self,
        release: OsRelease,
        operation: str,
        detail: Mapping[str, object],
        *,
        actor: str,
        allow_older: bool = False,
    ) -> OsRelease:
        """Record a release of an existing chip as published; its components become reference values.

        ``operation`` and ``detail`` go into the audit line, which also names chip, version and feed. With
        ``allow_older`` it may be older than what its feed gives, which devices then go back to.

        Raises:
            InvalidArgumentError: version or feed, or it has packages here of which one is below a security floor.
            ConflictError: the chip has a release of this version, the feed has a newer one, a roll-out decides for it
                in this feed, or it is of stand-ins and the chip has had one with real packages.
        """
        check_version(release.version)
        release = replace(release, published_at=release.created_at)

        def change(connection: Connection) -> None:
            check_feed(connection, release.feed)
            check_new(connection, release.chip, release.version)
            if release.imported_from is None:
                check_no_stand_in(connection, release)
                check_floors(connection, release)
                check_not_taken_back(connection, release, now=self._context.now())
                check_undecided(connection, release, release.feed, now=self._context.now())
                if not allow_older:
                    check_not_older(connection, release, now=self._context.now())
            # An imported one that says when it was published is as old as that, not the newest one here.
            by_time = release.imported_from is not None and release.created_at < self._context.now()
            before = place_of(connection, release, now=self._context.now())
            release_rows.add(connection, release, by_time=by_time, before=before)
            line = {"chip": release.chip, "version": release.version, "feed": release.feed, **detail}
            self._context.audit(connection, actor, operation, str(release.release_id), line)

        self._context.records.write(change)
        self.refresh()
        return release

    def list(self, *, chip: str | None = None, drafts: bool = False, given: str | None = None) -> tuple[OsRelease, ...]:
        """Published releases of all chips or of one, oldest first; with ``drafts`` those too that are not published.

        ``given`` names a feed: only those in force that its groups get, and that were built here. Of an imported one
        there are reference values and no packages.
        """
        every = self._context.records.read(lambda c: release_rows.every(c, drafts=drafts))
        found = [release for release in every if chip is None or release.chip == chip]
        if given is None:
            return tuple(found)
        feeds = self._context.records.read(lambda c: given_to(given, release_rows.follows(c)))
        now = self._context.now()
        living = living_of(found, now)
        return tuple(one for one in living if one.feed in feeds and one.imported_from is None)

    def get(self, release_id: UUID) -> OsRelease:
        """The release of an id."""
        for release in self.list(drafts=True):
            if release.release_id == release_id:
                return release
        raise NotFoundError(f"release {release_id} does not exist", remedy="List them: armillary release list.")

    def newest(self, chip: str, feed: str = OS_FEEDS[0], *, version: str | None = None) -> OsRelease:
        """The release that a feed gives to a chip's devices; the evaluation feed has the retail releases too.

        With a ``version`` the one of this version that is in force, also below a security floor: it is on a disk, which
        leaves it by an update. NotFoundError if there is none.
        """
        if version is None:
            found = self._given(chip, feed)
        else:
            found = next((each for each in self.list(chip=chip, given=feed) if each.version == version), None)
        if found is None:
            remedy = f"Chips: {', '.join(self._chips.names)}."
            if chip in self._chips.names:  # newer than the service's data, or nothing of it is in force
                remedy = self._how_to_publish(chip)
            wanted = "OS release" if version is None else f"OS release {version!r:.40} in force"
            raise NotFoundError(f"no {wanted} for chip {chip!r:.40}", remedy=remedy)
        return found

    def _how_to_publish(self, chip: str) -> str:
        if chip not in self._context.records.read(lambda c: real_chips(release_rows.every(c))):
            floors = self._context.records.read(release_rows.floors)
            lowest = max((one.minimum for one in floors if one.chip == chip), default=0)
            also = f" --security-version {lowest}" if lowest > self.highest_security_version(chip) else ""
            return f"Publish one: armillary release publish --chip {chip} --os-version VERSION{also}."
        return (
            "Promote one of another feed, if there is one (armillary release promote), or publish one of packages: "
            f"armillary release create --chip {chip} --os-version VERSION --component NAME=FILE."
        )

    def _given(self, chip: str, feed: str) -> OsRelease | None:
        """What a feed gives to a chip's devices of catalogs that are not apart."""

        def query(connection: Connection) -> OsRelease | None:
            mine = [one for one in release_rows.every(connection) if one.chip == chip]
            floors, follows = release_rows.floors(connection), release_rows.follows(connection)
            return newest_given(mine, floors, feed, follows=follows, now=self._context.now())

        return self._context.records.read(query)

    def highest_security_version(self, chip: str) -> int:
        """The highest security version of the releases that were built here, in force or not; 0 before the first."""
        built = [release for release in self.list(chip=chip) if release.imported_from is None]
        return max((component.security_version for release in built for component in release.components), default=0)

    def set_expiry(self, release_id: UUID, expires_at: int | None, *, actor: str) -> OsRelease:
        """Set the end of a release (Unix seconds UTC; None: no end); InvalidArgumentError unless from 1970 to 9999.

        A device that still boots it then gets update-only certificates.
        """
        if expires_at is not None and not 0 <= expires_at <= MAX_TIME:
            raise InvalidArgumentError(
                f"expires_at: expected 0 to {MAX_TIME}, got {expires_at}", remedy="Give Unix seconds UTC."
            )
        self.get(release_id)

        def change(connection: Connection) -> None:
            release_rows.set_expiry(connection, release_id, expires_at, at=self._context.now())
            self._context.audit(connection, actor, "release.set-expiry", str(release_id), {"expires_at": expires_at})

        self._context.records.write(change)
        self.refresh()
        return self.get(release_id)

    def withdraw(self, release_id: UUID, reason: str, *, actor: str) -> OsRelease:
        """Withdraw a release for good: devices that boot it get update-only certificates from their next check-in on.

        Its roll-out is held.

        Raises:
            InvalidArgumentError: the reason is empty or too long for a step's words.
            ConflictError: it was withdrawn before.
        """
        if not 1 <= len(reason.encode()) <= MAX_REASON_BYTES or not reason.isprintable():
            raise InvalidArgumentError(
                f"reason: expected 1 to {MAX_REASON_BYTES} bytes on one line", remedy="Say in a sentence what is wrong."
            )

        def change(connection: Connection) -> None:
            every = release_rows.every(connection, drafts=True)
            found = next((one for one in every if one.release_id == release_id), None)
            if found is None:
                raise NotFoundError(f"release {release_id} does not exist", remedy="List them: armillary release list.")
            if found.withdrawn_at is not None:
                raise ConflictError(
                    f"release {found.version} of {found.chip} was withdrawn before: {found.withdrawn_reason}",
                    remedy="A withdrawal is for good; publish another release.",
                )
            release_rows.withdraw(connection, release_id, at=self._context.now(), reason=reason)
            why = f"OS {found.version} was revoked: {reason}"
            hold_of_release(self._context, connection, release_id, reason=why, actor=actor)
            detail = {"chip": found.chip, "version": found.version, "reason": reason}
            self._context.audit(connection, actor, "release.withdraw", str(release_id), detail)

        self._context.records.write(change)
        self.refresh()
        return self.get(release_id)

    def packages(self, release: OsRelease) -> Mapping[str, bytes]:
        """Component name -> signed package, in boot order."""
        return {component.name: self._blobs.read(component.digest) for component in release.components}


def component_of(name: str, package: bytes, parsed: image_package.UnverifiedImagePackage) -> OsComponent:
    """The record of a release's component: what its package says of itself."""
    return OsComponent(
        name=name,
        image_type=parsed.image_type,
        component_id=parsed.component_id,
        image_id=parsed.image_id,
        digest=sha256(package).digest(),
        security_version=parsed.security_version,
        size=len(package),
    )


def check_new(connection: Connection, chip: str, version: str) -> None:
    """Raise ConflictError if a chip has a release of this version, published or not."""
    if any((one.chip, one.version) == (chip, version) for one in release_rows.every(connection, drafts=True)):
        raise ConflictError(f"{chip} has a release {version}", remedy="Releases never change; use a new version.")


def check_not_taken_back(connection: Connection, release: OsRelease, *, now: int) -> None:
    """Raise ConflictError where a release that is no more in force has the very components of this one, in this order.

    What is equal to the byte is one software, and is judged by the strictest word on it (appraisal step 18).
    """
    digests = [one.digest for one in release.components]
    for other in release_rows.every(connection):
        is_same = other.chip == release.chip and [one.digest for one in other.components] == digests
        if is_same and other.release_id != release.release_id and not is_in_force(other, now):
            why = "is over" if other.withdrawn_at is None else "was withdrawn"
            raise ConflictError(
                f"release {release.version} of {release.chip} has the very components of {other.version}, which {why}: "
                "devices that boot it would get updates only",
                remedy="Publish another build, or the same one packed with a higher security version.",
            )


def check_version(version: str) -> None:
    """Raise InvalidArgumentError unless a version is short, of letters, digits, dots and dashes, as paths have them."""
    if _VERSION.fullmatch(version) is None:
        raise InvalidArgumentError(
            "version: expected letters (a to z), digits, dots and dashes, at most 32, the first a letter or digit, got "
            f"{version!a:.60}",
            remedy="For example 26.12.",
        )


def check_floors(connection: Connection, release: OsRelease) -> None:
    """Raise InvalidArgumentError for a component that no device of the chip would be let in with."""
    floors = {(one.chip, one.image_type): one.minimum for one in release_rows.floors(connection)}
    for one in release.components:
        minimum = floors.get((release.chip, one.image_type), 0)
        if one.security_version < minimum:
            raise InvalidArgumentError(
                f"component {one.name}: expected security version {minimum} or more (the floor of {release.chip}), got "
                f"{one.security_version}",
                remedy="Make a release with that security version: devices that boot this one would get updates only.",
            )
