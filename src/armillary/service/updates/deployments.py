# SPDX-License-Identifier: Apache-2.0
"""Deployments: an immutable set of images for a device group; the newest is the one in force.

A plain deployment reaches every device of the group at its next check-in, as in Azure Sphere. While a roll-out
decides for a group, plain deployments to it are refused: two plans for one device are no plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    devices as device_rows,
    images as image_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.response import kept as kept_rows
from armillary.engines.records.schema.rows import Deployment, DeviceGroup, Image, Page
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise, group_or_raise, product_or_raise
from armillary.service.updates.bills import check_bills
from armillary.service.updates.device_fit import check_board_fit, check_os_fit, check_owners
from armillary.service.updates.images import ANY_ARCHITECTURE, image_or_raise
from armillary.wire.device.checkin import MAX_OFFERED
from armillary.wire.hawkbit.artifact import CHIP as BRIDGE_CHIP, IMAGE_TYPE as BRIDGE_IMAGE

# Images in a deployment: what one offer can hold.
MAX_IMAGES = MAX_OFFERED


class Deployments:
    """Operations on deployments."""

    def __init__(self, context: Context, blobs: Blobs, chips: Chips, notices: Notices) -> None:
        self._context = context
        self._blobs = blobs
        self._chips = chips
        self._notices = notices

    def create(
        self,
        catalog: str,
        product: str,
        group: str,
        image_ids: Sequence[UUID],
        *,
        actor: str,
        deployment_id: UUID | None = None,
    ) -> Deployment:
        """Put a set of images in force for a device group.

        Raises:
            NotFoundError: the group or one of the images does not exist in this catalog.
            InvalidArgumentError: a component twice, images that do not fit the chips of the group's devices or beside
                each other, or no OS release for them.
            ConflictError: a roll-out decides for this group, the deployment id is taken, or the catalog asks for a
                second person, who can only approve a roll-out.
        """

        def change(connection: Connection) -> Deployment:
            target = free_group_or_raise(connection, catalog, product, group)
            _check_one_person(connection, target.catalog_id, target.catalog)
            made = self.prepare(
                connection, target, image_ids, actor=actor, deployment_id=deployment_id, rollout_id=None
            )
            image_rows.put_in_force(connection, made.deployment_id, target.group_id, now=self._context.now())
            return deployment_or_raise(connection, target.catalog_id, made.deployment_id)

        made = self._context.records.write(change)
        self._notices.groups_changed()
        return made

    def get(self, catalog: str, deployment_id: UUID) -> Deployment:
        """A deployment of a catalog; NotFoundError if the catalog has none of this id."""
        return self._context.records.read(
            lambda c: deployment_or_raise(c, catalog_or_raise(c, catalog).catalog_id, deployment_id)
        )

    def current(self, catalog: str, product: str, group: str) -> Deployment | None:
        """The deployment in force for a group, or None."""

        def query(connection: Connection) -> Deployment | None:
            target = group_or_raise(connection, catalog, product, group)
            if target.deployment_id is None:
                return None
            return image_rows.deployment(connection, target.deployment_id)

        return self._context.records.read(query)

    def kept_by(self, device_id: str, group_id: UUID) -> UUID | None:
        """The deployment that a device keeps by a fix to affected devices alone; None where it has its group's own."""
        return self._context.records.read(lambda c: kept_rows.of_device(c, device_id, group_id))

    def list(
        self,
        catalog: str,
        product: str | None = None,
        group: str | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Deployment]:
        """Deployments of a catalog, a product or a group, newest first."""
        before = number_after(after)

        def query(connection: Connection) -> Page[Deployment]:
            owner = catalog_or_raise(connection, catalog)
            product_id = None if product is None else product_or_raise(connection, catalog, product).product_id
            group_id = None
            if product is not None and group is not None:
                group_id = group_or_raise(connection, catalog, product, group).group_id
            return image_rows.deployments(
                connection,
                owner.catalog_id,
                product_id=product_id,
                group_id=group_id,
                limit=bounded(limit),
                before=before,
            )

        return self._context.records.read(query)

    def delete(self, catalog: str, deployment_id: UUID, *, actor: str) -> None:
        """Delete a deployment; if it was in force, the one before it is again.

        Raises:
            NotFoundError: the catalog has none of this id.
            ConflictError: a roll-out names it; or it is in force, and the catalog asks for a second person: the one
                before it would reach all devices at once.
        """

        def change(connection: Connection) -> None:
            owner = catalog_or_raise(connection, catalog)
            found = deployment_or_raise(connection, owner.catalog_id, deployment_id)
            if found.rollout_id is not None or rollout_rows.names(connection, deployment_id):
                raise ConflictError(
                    f"deployment {deployment_id} is part of a roll-out's history", remedy="Make a newer deployment."
                )
            target = catalog_rows.group_by_id(connection, found.group_id)
            if target is not None and target.deployment_id == deployment_id:
                _check_one_person(connection, owner.catalog_id, owner.name)
                before = image_rows.newest_in_force(connection, found.group_id, except_for=deployment_id)
                image_rows.put_in_force(connection, before, found.group_id, now=self._context.now())
            image_rows.remove_deployment(connection, deployment_id)
            self._context.audit(connection, actor, "deployment.delete", str(deployment_id), {})

        self._context.records.write(change)
        self._notices.groups_changed()

    def prepare(
        self,
        connection: Connection,
        group: DeviceGroup,
        image_ids: Sequence[UUID],
        *,
        actor: str,
        deployment_id: UUID | None,
        rollout_id: UUID | None,
    ) -> Deployment:
        """Record a deployment that is not in force yet, in the caller's transaction."""
        if deployment_id is not None and image_rows.deployment(connection, deployment_id) is not None:
            # Of whichever catalog: outcomes of devices name a deployment by its id alone.
            raise ConflictError(
                f"the deployment id {deployment_id} is taken", remedy="Deployments never change; use a new id."
            )
        if len(image_ids) > MAX_IMAGES:
            raise InvalidArgumentError(
                f"images: expected at most {MAX_IMAGES}, got {len(image_ids)}", remedy="Deploy fewer images."
            )
        images = tuple(image_or_raise(connection, group.catalog_id, image_id) for image_id in image_ids)
        _check_components(images)
        _check_kinds(images)
        self._check_chips(connection, group, images)
        without_bill = check_bills(self._context, connection, group.catalog_id, images)
        deployment = Deployment(
            deployment_id=deployment_id or uuid4(),
            group_id=group.group_id,
            catalog_id=group.catalog_id,
            images=images,
            created_at=self._context.now(),
            created_by=actor,
            in_force_at=None,
            rollout_id=rollout_id,
        )
        image_rows.add_deployment(connection, deployment)
        detail = {
            "group": f"{group.catalog}/{group.product}/{group.name}",
            "images": [str(image.image_id) for image in images],
            "staged": rollout_id is not None,
        } | ({"without_bill": without_bill} if without_bill else {})
        self._context.audit(connection, actor, "deployment.create", str(deployment.deployment_id), detail)
        return deployment

    def _check_chips(self, connection: Connection, group: DeviceGroup, images: Sequence[Image]) -> None:
        total = sum(image.size for image in images)
        names = device_rows.chips_of_group(connection, group.group_id)
        if BRIDGE_CHIP in names:
            _check_artifacts(images)
        if not any(image.image_type == BRIDGE_IMAGE for image in images):  # of which the service reads nothing
            check_os_fit(connection, names, images, self._blobs.read, now=self._context.now())
            check_board_fit(set(names) - {BRIDGE_CHIP}, images, self._blobs.read, self._chips)
            check_owners(set(names) - {BRIDGE_CHIP}, images, self._blobs.read, self._chips)
        for name in (each for each in names if each != BRIDGE_CHIP):
            chip = self._chips.get(name)
            if total > chip.limits.application_flash_bytes:
                raise InvalidArgumentError(
                    f"images: expected at most {chip.limits.application_flash_bytes} bytes in all for {name}, "
                    f"got {total}",
                    remedy="Deploy fewer or smaller images, or move those devices to another group.",
                )
            for image in images:
                if image.architecture not in (ANY_ARCHITECTURE, chip.architecture):
                    raise InvalidArgumentError(
                        f"image {image.name} is for {image.architecture}, the group has devices of {name} "
                        f"({chip.architecture})",
                        remedy="Deploy it to a group of devices with that processor.",
                    )


def deployment_or_raise(connection: Connection, catalog_id: UUID, deployment_id: UUID) -> Deployment:
    """The deployment of an id in a catalog; NotFoundError if there is none."""
    found = image_rows.deployment(connection, deployment_id)
    if found is None or found.catalog_id != catalog_id:
        raise NotFoundError(f"deployment {deployment_id} does not exist", remedy="List them: deployment list.")
    return found


def free_group_or_raise(connection: Connection, catalog: str, product: str, group: str) -> DeviceGroup:
    """The device group of a name that no roll-out decides for at present.

    Raises:
        NotFoundError: the catalog, the product or the group does not exist.
        ConflictError: a roll-out decides for it.
    """
    found = group_or_raise(connection, catalog, product, group)
    running = rollout_rows.living_of_group(connection, found.group_id)
    if running is not None:
        raise ConflictError(
            f"roll-out {running.rollout_id} ({running.state}) decides for group {found.name}",
            remedy="Let it finish, roll it back or cancel it first.",
        )
    return found


def _check_one_person(connection: Connection, catalog_id: UUID, catalog: str) -> None:
    """Raise ConflictError where one person alone may not put another deployment in force."""
    if catalog_rows.needs_approval(connection, catalog_id):
        raise ConflictError(
            f"updates of catalog {catalog} need a second person, and a deployment reaches all at once",
            remedy="Start a roll-out, and have somebody else approve it: armillary rollout create.",
        )


def _check_kinds(images: Sequence[Image]) -> None:
    """Refuse a deployment of packages and artifacts: no device takes both."""
    kinds = {image.image_type == BRIDGE_IMAGE for image in images}
    if len(kinds) > 1:
        raise InvalidArgumentError(
            "images: expected image packages or artifacts for bridged devices, got both",
            remedy="Deploy them to two groups: one of devices that attest, one of bridged devices.",
        )


def _check_artifacts(images: Sequence[Image]) -> None:
    for image in images:
        if image.image_type != BRIDGE_IMAGE:
            raise InvalidArgumentError(
                f"image {image.name} is an image package, and the group has bridged devices, which take artifacts",
                remedy="Upload an artifact: armillary bridge artifact add; or deploy it to another group.",
            )


def _check_components(images: Sequence[Image]) -> None:
    for component_id, count in Counter(image.component_id for image in images).items():
        if count > 1:
            raise InvalidArgumentError(
                f"images: component {component_id} is there twice", remedy="Deploy one image per component."
            )
