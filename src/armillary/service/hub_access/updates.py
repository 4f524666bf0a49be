# SPDX-License-Identifier: Apache-2.0
"""Updates by jobs of the application platform: moves devices between device groups and reads how far each has got.

Not here: deployments themselves (``service/updates``).

A device has its group's deployment when its last check-in said that it runs exactly these images, none on trial and
none failed. It has failed when it reported of one of these images, after it was moved, that it was taken back or could
not be installed.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    devices as device_rows,
    images as image_rows,
    reports as report_rows,
)
from armillary.engines.records.schema.rows import Deployment, Device
from armillary.errors import InvalidArgumentError
from armillary.service.context.context import Context
from armillary.service.registry.devices import Devices
from armillary.service.registry.names import group_or_raise
from armillary.service.updates.offers import has
from armillary.twin.author.job import UpdateStatus

# Outcomes of one device that are read, newest first: more than one check-in can bring.
MAX_OUTCOMES = 64
# States of an image that does not count as running yet, or at all.
UNPROVEN = frozenset({"trial", "failed"})
TAKES_UPDATES = "UpdateAll"


class HubUpdates:
    """Moves devices for jobs; from any thread."""

    def __init__(self, context: Context, devices: Devices) -> None:
        self._context = context
        self._devices = devices

    def move(self, device_id: str, catalog: str, device_group: str, *, by: str) -> int:
        """Put a device of a catalog into a device group (``PRODUCT/GROUP``), unless it is there; returns Unix seconds.

        Raises:
            NotFoundError: no such device that attests, product or group.
            WrongCatalogError: the device is not this catalog's.
            InvalidArgumentError: nothing is deployed to the group, or it takes no updates of applications.
        """
        product, _, name = device_group.partition("/")

        def check(connection: Connection) -> bool:
            group = group_or_raise(connection, catalog, product, name)
            if group.deployment_id is None:
                raise InvalidArgumentError(
                    f"device group {device_group[:128]!a}: nothing is deployed to it",
                    remedy="Deploy images to it first.",
                )
            if group.update_policy != TAKES_UPDATES:
                raise InvalidArgumentError(
                    f"device group {device_group[:128]!a} has the update policy {group.update_policy}",
                    remedy=f"Set it to {TAKES_UPDATES}.",
                )
            return self._devices.in_transaction(connection, device_id).group_id == group.group_id

        now = self._context.now()
        if not self._context.records.read(check):
            self._devices.move(catalog, device_id, product=product, group=name, actor=by)
        return now

    def standings(self, device_group: str, moved: Mapping[str, tuple[str, int]]) -> Mapping[str, UpdateStatus]:
        """How far each device has got with the deployment of the group (``PRODUCT/GROUP``) that it was moved to.

        ``moved`` is device id -> (catalog, Unix seconds when it was moved).
        """

        def query(connection: Connection) -> dict[str, UpdateStatus]:
            deployments: dict[str, Deployment | None] = {}
            found: dict[str, UpdateStatus] = {}
            for device in device_rows.some(connection, [*moved], **self._context.as_of):
                there = f"{device.product}/{device.group}"
                if there.lower() != device_group.lower():
                    found[device.device_id] = UpdateStatus("failed", f"it was moved to {there} meanwhile")
                    continue
                key = str(device.group_id)
                if key not in deployments:
                    deployments[key] = _in_force(connection, device)
                found[device.device_id] = _standing(connection, device, deployments[key], moved[device.device_id][1])
            return found

        return self._context.records.read(query)


def _in_force(connection: Connection, device: Device) -> Deployment | None:
    group = None if device.group_id is None else catalog_rows.group_by_id(connection, device.group_id)
    if group is None or group.deployment_id is None:
        return None
    return image_rows.deployment(connection, group.deployment_id)


def _standing(connection: Connection, device: Device, deployment: Deployment | None, moved_at: int) -> UpdateStatus:
    if deployment is None:
        return UpdateStatus("failed", "nothing is deployed to the device group any more")
    images = frozenset(image.image_id for image in deployment.images)
    if has(device.installed, images) and not any(each.state in UNPROVEN for each in device.installed):
        return UpdateStatus("done", f"runs deployment {deployment.deployment_id}")
    if device.last_check_in_at is None or device.last_check_in_at < moved_at:
        return UpdateStatus(None)  # nothing new is known of it
    page = report_rows.outcomes(
        connection, device_id=device.device_id, deployment_id=deployment.deployment_id, limit=MAX_OUTCOMES, before=None
    )
    for each in page.items:
        if each.received_at >= moved_at and each.outcome != "confirmed":
            return UpdateStatus("failed", f"image {each.image_id} {each.outcome}: {each.reason}")
    return UpdateStatus(None)
