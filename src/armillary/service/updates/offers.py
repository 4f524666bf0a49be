# SPDX-License-Identifier: Apache-2.0
"""What each device should have: computed when a deployment or roll-out changes, looked up at every check-in.

The book is an immutable snapshot that is replaced as a whole, so that the device endpoint reads it without a lock
while operators change things. An offer's id is its deployment's id: a device that failed with an offer need not be
offered it in a loop, and its outcome names the deployment.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    images as image_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import Deployment
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.updates.images import ANY_ARCHITECTURE
from armillary.service.updates.staging import Staging, staging_of
from armillary.wire.device.checkin import InstalledImage, Offer, OfferedImage


@dataclass(frozen=True, slots=True)
class Wanted:
    """A deployment as it is offered to devices: its image ids, and the names of the chips it fits."""

    offer: Offer
    image_ids: frozenset[UUID]
    chips: frozenset[str]


@dataclass(frozen=True, slots=True)
class Book:
    """The snapshot: by device group what is in force, and the roll-out that decides for it."""

    groups: Mapping[UUID, Wanted | None] = field(default_factory=lambda: MappingProxyType({}))
    staging: Mapping[UUID, Staging[Wanted | None]] = field(default_factory=lambda: MappingProxyType({}))


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
            self._book = self._context.records.read(self._read)

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
        decides = staging is not None and staging.has_turn(device_number)
        found = staging.wanted if staging is not None and decides else book.groups.get(group_id)
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
        before = book.groups.get(group_id)
        old = frozenset() if before is None else before.image_ids
        if any(one.image_id in wanted.image_ids - old for one in installed):
            return None
        return before if before is not None and chip in before.chips else None

    def _read(self, connection: Connection) -> Book:
        in_force = {
            group.group_id: group.deployment_id
            for group in catalog_rows.every_group(connection)
            if group.update_policy == "UpdateAll"
        }
        groups = {group_id: self._wanted(connection, deployment) for group_id, deployment in in_force.items()}
        staging = {
            rollout.group_id: self._staging(connection, rollout)
            for rollout in rollout_rows.living(connection)
            if rollout.group_id in in_force and rollout.state != "proposed"
        }
        return Book(MappingProxyType(groups), MappingProxyType(staging))

    def _staging(self, connection: Connection, rollout: Rollout) -> Staging[Wanted | None]:
        back = rollout.state == "rolling-back"
        wanted = self._wanted(connection, rollout.previous_deployment_id if back else rollout.deployment_id)
        return staging_of(connection, rollout, wanted)

    def _wanted(self, connection: Connection, deployment_id: UUID | None) -> Wanted | None:
        deployment = None if deployment_id is None else image_rows.deployment(connection, deployment_id)
        return None if deployment is None else wanted_of(deployment, self._chips)


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
    )


def has(installed: tuple[InstalledImage, ...], image_ids: frozenset[UUID]) -> bool:
    """Whether a device has exactly these images, whatever their state."""
    return {image.image_id for image in installed} == image_ids
