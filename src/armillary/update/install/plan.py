# SPDX-License-Identifier: Apache-2.0
"""Compares an offered bundle with what is installed: what to fetch, into which slots, and what runs afterwards.

An offer names the complete bundle, with two exceptions that keep old and partial services right:

* without an OS version it says nothing about the OS, which stays as it is;
* with an OS version, or with nothing but trust stores, and without a deployment it says nothing about applications,
  which stay as they are.

An OS component that this boot measured as it should be is kept, whatever the record says of it; one that was measured
otherwise (damaged, exchanged) is fetched again. A new one goes into the slot beside the one that the machine runs from,
as the machine says. That is another one than the record says where both slots have the same root file system and the
kernel, which was updated alone, takes that of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from armillary.errors import InstallError
from armillary.update.install.component import SLOTS, Kind, OsPlace, kind_of, other_slot
from armillary.update.install.record import InstallRecord, OsVersion, SlotImage
from armillary.wire.device.checkin import Offer, OfferedImage


@dataclass(frozen=True, slots=True)
class StagedImage:
    """An image that has to be fetched, and the slot for it."""

    offered: OfferedImage
    target: SlotImage


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """How to get from the active set of images to the wanted one, in the order of installation."""

    offer_id: UUID
    rejection_key: UUID  # See :func:`rejection_key`
    fetch: tuple[StagedImage, ...]  # Images that are not on the device yet
    removed: tuple[SlotImage, ...]  # Active images that are not in the wanted set
    result: tuple[SlotImage, ...]  # The set that runs after the switch
    os: OsVersion  # Of ``result``
    measured: tuple[SlotImage, ...] = ()  # Kept OS components that the record did not name: they are where they were
    moved: tuple[SlotImage, ...] = ()  # Active OS components that run from another slot than the record names: there

    @property
    def restarts(self) -> bool:
        """Whether the switch takes effect with a restart of the device."""
        return any(staged.target.kind.is_system for staged in self.fetch)

    @property
    def brings_os(self) -> bool:
        """Whether OS components are written, over the copies of the OS before this one."""
        return any(staged.target.kind is Kind.OS for staged in self.fetch)


def rejection_key(offer: Offer) -> UUID:
    """What is not tried again after a failure: the deployment (the offer if it names none) with this OS version.

    The same deployment with another OS is another thing to try.
    """
    key = offer.deployment_id or offer.offer_id
    return uuid5(key, offer.os_version) if offer.os_version else key


def only_system(offer: Offer) -> Offer | None:
    """The OS and the trust stores of an offer, with applications left as they are; None where it has neither."""
    images = tuple(image for image in offer.images if kind_of(image.image_type).is_system)
    if not images:
        return None
    return replace(offer, deployment_id=None, images=images)


def plan_install(record: InstallRecord, offer: Offer, places: Sequence[OsPlace] = ()) -> InstallPlan | None:
    """The plan for ``offer`` on a chip with these boot components; None when there is nothing to do now.

    There is nothing to do during a trial (it is settled first; the service offers again at the next check-in), for
    what failed on this device before, or when the wanted set already runs and the record has the version of its OS.

    Raises:
        InstallError: the offer contradicts itself, or is not for this chip.
    """
    key = rejection_key(offer)
    if record.trial is not None or key in record.rejected:
        return None
    wanted = _wanted(offer)
    _check_os(offer, wanted, places)
    by_id = {place.component_id: place for place in places}
    fetch: list[StagedImage] = []
    result: list[SlotImage] = []
    measured: list[SlotImage] = []
    moved: list[SlotImage] = []
    for image in wanted.values():
        place = by_id.get(image.component_id) if kind_of(image.image_type) is Kind.OS else None
        present = record.image_of(image.component_id)
        if place is None:
            kept = None if present is None or not _is(present, image) else present
        elif place.digest == image.sha256:
            kept = _measured(present, image, place)
            if kept is not present:
                measured.append(kept)
        else:
            kept = None
        running = _running(present, place)
        if running is not None and running is not present:
            moved.append(running)
        if kept is None:
            kept = _target(running, image, place)
            fetch.append(StagedImage(image, kept))
        result.append(kept)
    stays, removed = _others(record, offer, wanted)
    os = OsVersion(offer.os_version, offer.os_abi) if offer.os_version else record.os
    if not fetch and not removed and os == record.os:
        return None
    return InstallPlan(
        offer_id=offer.offer_id,
        rejection_key=key,
        fetch=tuple(sorted(fetch, key=lambda staged: staged.target.kind)),
        removed=removed,
        result=tuple(sorted((*stays, *result), key=lambda image: image.kind)),
        os=os,
        measured=tuple(measured),
        moved=tuple(moved),
    )


def _wanted(offer: Offer) -> Mapping[UUID, OfferedImage]:
    """The offered images by component."""
    wanted: dict[UUID, OfferedImage] = {}
    for image in offer.images:
        if image.component_id in wanted:
            raise InstallError(
                f"offer {offer.offer_id} names component {image.component_id} twice",
                remedy="Deploy each component once.",
            )
        wanted[image.component_id] = image
    return wanted


def _check_os(offer: Offer, wanted: Mapping[UUID, OfferedImage], places: Sequence[OsPlace]) -> None:
    """Raise InstallError unless the offered OS is none, or exactly this chip's components, each in its size."""
    offered = {key: image for key, image in wanted.items() if kind_of(image.image_type) is Kind.OS}
    if bool(offered) != bool(offer.os_version):
        raise InstallError(
            f"offer {offer.offer_id} has {len(offered)} OS components and OS version {offer.os_version!r}",
            remedy="Offer an OS version with its components, or neither.",
        )
    if not offered:
        return
    known = {place.component_id: place for place in places}
    for image in offered.values():
        place = known.get(image.component_id)
        if place is None or place.image_type != image.image_type:
            raise InstallError(
                f"OS {offer.os_version}: {image.name} (component {image.component_id}, image type {image.image_type}) "
                "is no boot component of this chip",
                remedy="Offer a release that was made for this chip.",
            )
        if image.size > place.size_limit_bytes:
            raise InstallError(
                f"OS {offer.os_version}: {place.name} has {image.size} bytes, expected at most "
                f"{place.size_limit_bytes}",
                remedy="Make a release whose components fit their slots.",
            )
    missing = [place.name for place in places if place.component_id not in offered]
    if missing:
        raise InstallError(
            f"OS {offer.os_version} lacks boot components of this chip: {', '.join(missing)}",
            remedy="Offer all components of the release.",
        )


def _is(present: SlotImage, image: OfferedImage) -> bool:
    return (present.image_id, present.sha256) == (image.image_id, image.sha256)


def _measured(present: SlotImage | None, image: OfferedImage, place: OsPlace) -> SlotImage:
    """An OS component that was measured as wanted: it stays in its slot."""
    if present is not None and _is(present, image):
        return present
    return _slot_image(image, SLOTS[0] if present is None else present.slot, place)


def _running(present: SlotImage | None, place: OsPlace | None) -> SlotImage | None:
    """The active image in the slot that the machine runs it from; where it does not say, as the record has it."""
    if present is None or place is None or place.runs_from in (None, present.slot):
        return present
    return replace(present, slot=other_slot(present.slot))


def _target(present: SlotImage | None, image: OfferedImage, place: OsPlace | None) -> SlotImage:
    """Where a new image goes: the slot that is not in use. An OS component without a record is in slot ``a``."""
    in_use = present.slot if present is not None else SLOTS[1] if place is None else SLOTS[0]
    return _slot_image(image, other_slot(in_use), place)


def _slot_image(image: OfferedImage, slot: str, place: OsPlace | None) -> SlotImage:
    name = image.name if place is None else place.name
    return SlotImage(image.component_id, image.image_id, image.image_type, name, slot, image.size, image.sha256)


def _others(
    record: InstallRecord, offer: Offer, wanted: Mapping[UUID, OfferedImage]
) -> tuple[tuple[SlotImage, ...], tuple[SlotImage, ...]]:
    """Active images that the offer does not name: those that stay, and those that are removed."""
    others = [image for image in record.active if image.component_id not in wanted]
    brings_system = any(kind_of(image.image_type).is_system for image in wanted.values())
    keeps_applications = brings_system and offer.deployment_id is None
    stays = tuple(image for image in others if image.kind.is_system or keeps_applications)
    return stays, tuple(image for image in others if image not in stays)
