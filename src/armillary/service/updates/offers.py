# SPDX-License-Identifier: Apache-2.0
"""What each device should have: computed when something of it changes, looked up at every check-in.

Applications come from the deployment or roll-out of the device's group, the operating system from the group's OS feed,
the timing from the group's schedule; a device is offered all that it lacks in one offer. What signs them comes before
(``trust_chain.py``).

The book is an immutable snapshot that is replaced as a whole, so that the device endpoint reads it without a lock
while operators change things. An offer's id is its deployment's id, or its release's where no applications are meant: a
device that failed with an offer need not be offered it in a loop, and its outcome names the deployment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    images as image_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.engines.records.response import kept as kept_rows
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutPart
from armillary.engines.records.schema.rows import Deployment, DeviceGroup
from armillary.engines.records.schema.update_rows import DEFAULT_DEFERRAL_S, UpdateSchedule
from armillary.service.authority.trust_chain import Signed, TrustBook, Trusts, book_of, takes
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.registry.crash_consent import consent_of
from armillary.service.updates.images import ANY_ARCHITECTURE
from armillary.service.updates.os_feeds import FeedOfChip, Systems, WantedOs, systems_of
from armillary.service.updates.schedules import GroupSchedule, told
from armillary.service.updates.staging import Staging, staging_of
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.device.checkin import MAX_OFFERED, NO_DUMPS, InstalledImage, Offer, OfferedImage
from armillary.wire.device.offer_timing import OfferTiming
from armillary.wire.hawkbit.artifact import CHIP as BRIDGE_CHIP, IMAGE_TYPE as BRIDGE_IMAGE

# Windows are reckoned into moments at least this often; they reach a month ahead.
RECKONED_S: Final = 24 * 3600
# Of groups that have no schedule of their own: at any time, but for what applications put off.
USUAL: Final = GroupSchedule(None, OfferTiming(max_deferral_s=DEFAULT_DEFERRAL_S))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A deployment as it is offered to devices.

    Attributes:
        image_ids: Ids of its images.
        chips: Names of the chips it fits.
        signers: Serials of the certificates whose keys signed its images.
    """

    offer: Offer
    image_ids: frozenset[UUID]
    chips: frozenset[str]
    signers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OsStaging:
    """The view of the roll-out of an OS release; ``groups`` are those of the catalogs that it is for."""

    staging: Staging[WantedOs | None]
    groups: frozenset[UUID]


# Identities of what is wanted, the group, the end of the lease, and the trust store that comes with it.
MadeOf = tuple[int, int, UUID | None, int | None, UUID | None]


@dataclass(frozen=True, slots=True)
class Book:
    """The snapshot: by device group what is in force, and the roll-out that decides for it.

    Attributes:
        feeds: The OS feed of each group.
        systems: The operating system that each feed gives to each chip; ``apart`` the same for groups of catalogs that
            roll-outs of their own were for.
        schedules: Of groups that have one of their own.
        os_staging: The roll-outs of OS releases.
        due_at: When time alone changes something: a release that expires, an urgency that ends, the next windows.
        trust: The trust stores.
        kept: Completed roll-outs to the devices of an action alone, by group, the newest first.
        made: Offers made of it, with what they are made of: one for many devices, so that it is encoded once.
    """

    groups: Mapping[UUID, Wanted | None] = field(default_factory=lambda: MappingProxyType({}))
    staging: Mapping[UUID, Staging[Wanted | None]] = field(default_factory=lambda: MappingProxyType({}))
    feeds: Mapping[UUID, str] = field(default_factory=lambda: MappingProxyType({}))
    systems: Mapping[FeedOfChip, WantedOs] = field(default_factory=lambda: MappingProxyType({}))
    schedules: Mapping[UUID, GroupSchedule] = field(default_factory=lambda: MappingProxyType({}))
    due_at: int = 0
    os_staging: Mapping[FeedOfChip, OsStaging] = field(default_factory=lambda: MappingProxyType({}))
    trust: TrustBook = field(default_factory=TrustBook)
    apart: Mapping[UUID, Mapping[FeedOfChip, WantedOs]] = field(default_factory=lambda: MappingProxyType({}))
    kept: Mapping[UUID, tuple[Staging[Wanted | None], ...]] = field(default_factory=lambda: MappingProxyType({}))
    made: dict[MadeOf, tuple[Wanted | None, WantedOs | None, Offer]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def own(self, group_id: UUID, device_number: int) -> Wanted | None:
        """What a device of a group has without a roll-out that decides now: what it keeps, else what is in force."""
        for staging in self.kept.get(group_id, ()):
            if staging.has_turn(device_number, group_id):
                return staging.wanted
        return self.groups.get(group_id)


class Offers:
    """Keeps the book up to date and looks offers up in it."""

    def __init__(self, context: Context, chips: Chips) -> None:
        self._context = context
        self._chips = chips
        self._lock = threading.Lock()
        self._book = Book()

    def refresh(self) -> None:
        """Compute the book again from the records."""
        with self._lock:  # two changes at once: the later one reads what the earlier one wrote
            book = self._context.records.read(self._read)
            self._book = book
            intervals = [one.interval_s or 0 for one in book.schedules.values()]
            self._context.own_intervals.longest_s = max(intervals, default=0)

    def is_due(self) -> bool:
        """Whether the book has to be computed again because time went by."""
        return self._context.now() >= self._book.due_at

    @property
    def book(self) -> Book:
        """The snapshot now; another object whenever anything changed."""
        return self._book

    def wanted(self, group_id: UUID | None, device_number: int, chip: str) -> Wanted | None:
        """What a device should have, or None where nothing is to be offered."""
        if group_id is None:
            return None
        book = self._book
        staging = book.staging.get(group_id)
        decides = staging is not None and staging.has_turn(device_number, group_id)
        found = staging.wanted if staging is not None and decides else book.own(group_id, device_number)
        return found if found is not None and chip in found.chips else None

    def granted(
        self, group_id: UUID | None, device_number: int, chip: str, installed: tuple[InstalledImage, ...]
    ) -> Wanted | None:
        """What a device that reports ``installed`` may be offered now; None to leave it as it is.

        While a roll-out is held no device is granted its deployment, and none is taken back: devices that have it keep
        it, devices that have begun to install it are left alone, and all others have what the group had before.
        """
        wanted = self.wanted(group_id, device_number, chip)
        if wanted is None or group_id is None:
            return wanted
        book = self._book
        staging = book.staging.get(group_id)
        if staging is None or not staging.is_held or staging.wanted is not wanted or has(installed, wanted.image_ids):
            return wanted
        before = book.own(group_id, device_number)
        old = frozenset() if before is None else before.image_ids
        if any(one.image_id in wanted.image_ids - old for one in installed):
            return None
        return before if before is not None and chip in before.chips else None

    def wanted_os(self, group_id: UUID | None, device_number: int, chip: str) -> WantedOs | None:
        """The operating system that a device should have; None where its group's feed has none for its chip."""
        book = self._book
        feed = None if group_id is None else book.feeds.get(group_id)
        if group_id is None or feed is None:
            return None
        staging = self._os_staging(group_id, device_number, chip)
        # What is held is granted to nobody; who runs it is left alone, as what runs is newer than what the feed gives.
        # What is over or revoked is nobody's: who runs it is let in for updates only, and the feed's is the way back.
        if staging is None or staging.is_held or staging.wanted is None:
            return book.apart.get(group_id, book.systems).get((feed, chip))
        return staging.wanted

    def _os_staging(self, group_id: UUID | None, device_number: int, chip: str) -> Staging[WantedOs | None] | None:
        """The roll-out of an OS release that decides for a device."""
        book = self._book
        feed = None if group_id is None else book.feeds.get(group_id)
        found = None if feed is None else book.os_staging.get((feed, chip))
        if found is None or group_id not in found.groups:
            return None
        return found.staging if found.staging.has_turn(device_number, group_id) else None

    def lease_s(
        self, group_id: UUID | None, device_number: int, chip: str, wanted: Wanted | None, system: WantedOs | None
    ) -> int:
        """For how many seconds a device may install what it is offered without asking again; 0 for no end."""
        staged = (
            (None if group_id is None else self._book.staging.get(group_id), wanted),
            (self._os_staging(group_id, device_number, chip), system),
        )
        leases = [one.lease_s for one, wish in staged if one is not None and wish is not None and one.wanted is wish]
        return min((lease for lease in leases if lease), default=0)

    def schedule(self, group_id: UUID | None) -> GroupSchedule:
        """The schedule of a device's group; the usual one where it has none of its own."""
        return USUAL if group_id is None else self._book.schedules.get(group_id, USUAL)

    def images(self, group_id: UUID | None, device_number: int, chip: str) -> tuple[OfferedImage, ...]:
        """The images that a device may fetch: of its applications, its operating system, and all trust stores."""
        wanted, system = (
            self.wanted(group_id, device_number, chip),
            self.wanted_os(group_id, device_number, chip),
        )
        applications = wanted.offer.images if wanted else ()
        systems = () if system is None else (system, *(one.system for one in system.instead.values()))
        return (*applications, *(image for one in systems for image in one.images), *self._book.trust.images)

    def offer(
        self,
        group_id: UUID | None,
        wanted: Wanted | None,
        system: WantedOs | None,
        *,
        installed: tuple[InstalledImage, ...],
        events: Sequence[BootEvent],
        lease_until: int | None = None,
        trusts: Trusts | None = None,
    ) -> Offer | None:
        """What a device is offered that should have ``wanted`` and ``system``; None if it has them.

        It reports ``installed`` applications and has measured ``events`` at boot. ``system`` is None for a device that
        does not update its operating system, ``trusts`` for one that does not say what it trusts.
        """
        store, trust = None, self._book.trust
        if trusts is not None and trust.moves:
            found = trust.next_store(trusts, signed_by(wanted, system, installed, events))
            store, present = None if found is None else found.image, trust.present(trusts.keys)
            if found is not None and found.is_alone:
                wanted = system = None
            elif store is None and present is not None:
                system = None if system is None or not takes([system.signer], present.os) else system
                wanted = None if wanted is None or not takes(wanted.signers, present.images) else wanted
        if store is None:
            if system is not None and system.runs(events):
                system = None
            if system is None and (wanted is None or has(installed, wanted.image_ids)):
                return None
        if wanted is not None and system is not None and len(wanted.offer.images) + len(system.images) >= MAX_OFFERED:
            wanted = None  # one after the other: applications stay as they are until the system is there
        key = (id(wanted), id(system), group_id, lease_until, None if store is None else store.image_id)
        made = self._book.made
        known = made.get(key)
        if known is None or known[0] is not wanted or known[1] is not system:
            timing = self.schedule(group_id).timing
            if lease_until is not None:
                timing = replace(timing, lease_until=lease_until)
            known = made[key] = (wanted, system, offer_of(wanted, system, timing, store))
        return known[2]

    def _read(self, connection: Connection) -> Book:
        now = self._context.now()
        every = catalog_rows.every_group(connection)
        in_force = {group.group_id: group.deployment_id for group in every if group.update_policy == "UpdateAll"}
        groups = {group_id: self._wanted(connection, deployment) for group_id, deployment in in_force.items()}
        staging = {
            part.group_id: self._staging(connection, rollout, part)
            for rollout in rollout_rows.living(connection)
            for part in rollout.parts
            if part.group_id in in_force and rollout.state != "proposed"
        }
        systems = systems_of(connection, now=now)
        os_staging = {
            (str(rollout.feed), rollout.chip): _os_staging(connection, rollout, systems, every)
            for rollout in rollout_rows.living(connection)
            if rollout.release_id is not None and rollout.state != "proposed"
        }
        schedules = catalog_rows.update_schedules(connection)
        ends = [one.expires_at for one in systems.releases] + [one.urgent_until for one in schedules]
        return Book(
            MappingProxyType(groups),
            MappingProxyType(staging),
            feeds=MappingProxyType({group.group_id: group.os_feed for group in every}),
            systems=MappingProxyType(systems.everybody),
            apart=MappingProxyType(
                {group.group_id: systems.of(group.catalog_id) for group in every if group.catalog_id in systems.apart}
            ),
            os_staging=MappingProxyType(os_staging),
            schedules=MappingProxyType(self._told(every, schedules, now)),
            kept=MappingProxyType(
                {
                    group_id: tuple(self._staging(connection, one, part) for one in standing for part in one.parts)
                    for group_id, standing in kept_rows.by_group(connection).items()
                    if group_id in in_force
                }
            ),
            trust=book_of(store_rows.every(connection)),
            due_at=min([now + RECKONED_S, *(end for end in ends if end is not None and end > now)]),
        )

    def _told(
        self, groups: Iterable[DeviceGroup], schedules: Iterable[UpdateSchedule], now: int
    ) -> dict[UUID, GroupSchedule]:
        """What devices of groups are told that have a schedule of their own, or collect crash dumps."""
        found = {one.group_id: told(one, now) for one in schedules}
        for group in groups:
            dumps = consent_of(group, self._context.settings.data_region)
            if dumps != NO_DUMPS:
                found[group.group_id] = replace(found.get(group.group_id, USUAL), dumps=dumps)
        return found

    def _staging(self, connection: Connection, rollout: Rollout, part: RolloutPart) -> Staging[Wanted | None]:
        back = rollout.state == "rolling-back"
        wanted = self._wanted(connection, part.previous_deployment_id if back else part.deployment_id)
        return staging_of(connection, rollout, wanted)

    def _wanted(self, connection: Connection, deployment_id: UUID | None) -> Wanted | None:
        deployment = None if deployment_id is None else image_rows.deployment(connection, deployment_id)
        return None if deployment is None else wanted_of(deployment, self._chips)


def _os_staging(connection: Connection, rollout: Rollout, systems: Systems, groups: Iterable[DeviceGroup]) -> OsStaging:
    """The roll-out of an OS release: devices that have their turn get it, on the way back what their feed gives."""
    wanted = None
    if rollout.release_id is not None and rollout.state != "rolling-back":
        wanted = systems.release(rollout.release_id, str(rollout.feed), rollout.only_catalog_id)
    mine = frozenset(group.group_id for group in groups if rollout.only_catalog_id in (None, group.catalog_id))
    return OsStaging(staging_of(connection, rollout, wanted), mine)


def wanted_of(deployment: Deployment, chips: Chips) -> Wanted:
    """A deployment as an offer."""
    images = deployment.images
    total = sum(image.size for image in images)
    needed = {image.architecture for image in images} - {ANY_ARCHITECTURE}
    fitting = frozenset(
        name
        for name in chips.names
        if total <= chips.get(name).limits.application_flash_bytes and needed <= {chips.get(name).architecture}
    )
    if all(image.image_type == BRIDGE_IMAGE for image in images):  # none: what bridged devices have is let go, too
        fitting |= {BRIDGE_CHIP}
    return Wanted(
        Offer(
            offer_id=deployment.deployment_id,
            deployment_id=deployment.deployment_id,
            images=tuple(
                OfferedImage(
                    component_id=image.component_id,
                    image_id=image.image_id,
                    image_type=image.image_type,
                    name=image.name,
                    size=image.size,
                    sha256=image.sha256,
                )
                for image in images
            ),
        ),
        frozenset(image.image_id for image in images),
        fitting,
        frozenset(image.signer for image in images if image.image_type != BRIDGE_IMAGE),
    )


def offer_of(
    wanted: Wanted | None, system: WantedOs | None, timing: OfferTiming, store: OfferedImage | None = None
) -> Offer:
    """The offer of what a device should have, of which at least one is not None; a trust store comes first."""
    if wanted is None:
        if system is not None:
            offer_id = system.release_id
        elif store is not None:
            offer_id = store.image_id
        else:
            raise ValueError("an offer of nothing")
        offer = Offer(offer_id=offer_id, deployment_id=None, images=())
    else:
        offer = wanted.offer
    if system is not None:
        offer = replace(offer, images=(*system.images, *offer.images), os_version=system.version, os_abi=system.abi)
    return replace(offer, images=(*([] if store is None else [store]), *offer.images), when=timing)


def signed_by(
    wanted: Wanted | None,
    system: WantedOs | None,
    installed: tuple[InstalledImage, ...],
    events: Sequence[BootEvent],
) -> Signed | None:
    """Whose keys signed all that a device should have; None where it keeps something that this does not name."""
    if system is None or system.is_behind(events) or (wanted is None and installed):
        return None
    if wanted is not None and len(wanted.offer.images) + len(system.images) >= MAX_OFFERED:
        return None
    return Signed(system.signer, frozenset() if wanted is None else wanted.signers)


def has(installed: tuple[InstalledImage, ...], image_ids: frozenset[UUID]) -> bool:
    """Whether a device has exactly these images, whatever their state."""
    return {image.image_id for image in installed} == image_ids
