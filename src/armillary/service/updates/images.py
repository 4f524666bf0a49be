# SPDX-License-Identifier: Apache-2.0
"""Application images: validated, signed anew by this service, stored under their SHA-256.

An image is one of its catalog: another catalog may have the same package, and neither learns of the other's.

Upload is where an image becomes one that devices install ("production signing"). So it is read to its last byte here:
package, file system, manifest. The uploader's signature is not asked for: it is made with the SDK's public key, which
proves nothing; who may upload is decided by the operator's token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.capability.programs import architectures
from armillary.engines.delta.cache import DeltaCache
from armillary.engines.records.bridge import devices as bridge_rows
from armillary.engines.records.queries import (
    images as image_rows,
    releases as release_rows,
)
from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.engines.records.schema.rows import REGIONAL_DATA_BOUNDARIES, Image, Page
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError, OperatorError
from armillary.service.authority.authority import Authority
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.named_blobs import remove_unnamed
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded
from armillary.service.registry.names import catalog_or_raise
from armillary.service.updates.device_fit import check_board
from armillary.service.uploads.port import LookedAt
from armillary.wire.hawkbit.artifact import IMAGE_TYPE as BRIDGE_IMAGE
from armillary.wire.image import application as application_package, package as image_package
from armillary.wire.image.application import UnverifiedApplication
from armillary.wire.image.asxipfs import Filesystem
from armillary.wire.image.naming import check_version
from armillary.wire.image.section import APPLICATIONS, CUSTOMER_BOARD_CONFIG

ANY_ARCHITECTURE: Final = "any"
# The nil and the max UUID (RFC 9562 §5.9, §5.10): what is not set, and what is erased flash.
NO_IDS: Final = frozenset({0, (1 << 128) - 1})


class Images:
    """Operations on images."""

    def __init__(self, context: Context, authority: Authority, blobs: Blobs, chips: Chips, notices: Notices) -> None:
        self._context = context
        self._notices = notices
        self._authority = authority
        self._blobs = blobs
        self._chips = chips
        self._deltas = DeltaCache(context.folder.deltas, limit_bytes=context.settings.delta_cache_mb << 20)

    def upload(
        self, catalog: str, package: bytes, *, actor: str, version: str = "", regional_data_boundary: str = "None"
    ) -> Image:
        """Check, sign and keep an image package; ``version`` is what its vendor calls it, empty for unknown.

        Raises:
            NotFoundError: no such catalog.
            InvalidArgumentError: too large, not an application, for a processor no chip of this service has, or a
                version that is none.
            ConflictError: the catalog has an image of this id; images never change, build a new one.
            WireError, ManifestError: the package breaks its format.
        """
        if regional_data_boundary not in REGIONAL_DATA_BOUNDARIES:
            raise InvalidArgumentError(
                f"regional_data_boundary: expected None or EU, got {regional_data_boundary!r:.40}",
                remedy="Use one of the two.",
            )
        if version:
            check_version(version)
        looked = self.look(package)
        unverified, manifest = looked.package, looked.manifest
        connections = () if manifest is None else manifest.capabilities.allowed_connections
        signer = self._authority.image_signer
        signed = image_package.resign(unverified, key=signer.key, certificate=signer.certificate)
        digest = sha256(signed).digest()
        image = Image(
            image_id=unverified.image_id,
            catalog_id=UUID(int=0),  # known when the catalog is read, in the transaction
            component_id=unverified.component_id,
            image_type=unverified.image_type,
            name=unverified.name,
            size=len(signed),
            sha256=digest,
            built_at=unverified.built,
            architecture=looked.architecture,
            allowed_connections=connections,
            regional_data_boundary=regional_data_boundary,
            uploaded_at=self._context.now(),
            uploaded_by=actor,
            signer=signer.serial,
            version=version,
        )
        with self._blobs.held(digest):
            self._blobs.write(signed)
            try:
                kept = self._context.records.write(lambda c: self._keep(c, catalog, image, actor))
            except OperatorError:
                self.remove_unnamed(digest)
                raise
        self._notices.artifacts_changed()
        return kept

    def look(self, package: bytes) -> LookedAt:
        """Read an image package to its last byte, as :meth:`upload` does, and keep nothing.

        Raises:
            InvalidArgumentError: too large, not an application, or for a processor no chip of this service has.
            WireError, ManifestError: the package breaks its format.
        """
        limit = self._chips.largest_application_flash
        if len(package) > limit:
            raise InvalidArgumentError(
                f"image package: expected at most {limit} bytes (application flash of the largest chip), "
                f"got {len(package)}",
                remedy="Make the application smaller: all applications of a device share this space.",
            )
        unverified = image_package.parse(package)
        looked = self._inspect(unverified)
        self._check_ids(unverified)
        return looked

    def get(self, catalog: str, image_id: UUID) -> Image:
        """An image of a catalog; NotFoundError if the catalog has none of this id."""

        def query(connection: Connection) -> Image:
            return image_or_raise(connection, catalog_or_raise(connection, catalog).catalog_id, image_id)

        return self._context.records.read(query)

    def some(self, catalog: str, image_ids: Collection[UUID]) -> Mapping[UUID, Image]:
        """Those of some images that a catalog has, by id; NotFoundError if there is no such catalog."""

        def query(connection: Connection) -> tuple[Image, ...]:
            return image_rows.some(connection, catalog_or_raise(connection, catalog).catalog_id, image_ids)

        return {each.image_id: each for each in self._context.records.read(query)}

    def of_id(self, image_id: UUID, catalog: str | None) -> Image | None:
        """An image of an id: the catalog's, or with None the first that any catalog has; None where there is none."""

        def query(connection: Connection) -> Image | None:
            if catalog is not None:
                return image_rows.one(connection, catalog_or_raise(connection, catalog).catalog_id, image_id)
            return next(iter(image_rows.of_id(connection, image_id)), None)

        return self._context.records.read(query)

    def list(self, catalog: str, *, limit: int = 100, after: str | None = None, order: str = "") -> Page[Image]:
        """A catalog's images, newest first or in an order."""
        if not order:
            _check_cursor(after)

        def query(connection: Connection) -> Page[Image]:
            owner = catalog_or_raise(connection, catalog)
            return image_rows.page(connection, owner.catalog_id, limit=bounded(limit), after=after, order=order)

        return self._context.records.read(query)

    def read(self, image_id: UUID, catalog: str | None = None) -> bytes:
        """The signed package of an image of ``catalog``; None where only one catalog has an image of this id.

        Raises:
            NotFoundError: no such image.
            InvalidArgumentError: no catalog is named, and several have an image of this id; or it is an artifact of
                the bridge, which is no package.
            DataFolderError: the file is missing or was changed.
        """
        if catalog is not None:
            return self._package(self.get(catalog, image_id))
        found = self._context.records.read(lambda c: image_rows.of_id(c, image_id))
        if not found:
            raise NotFoundError(f"image {image_id} does not exist", remedy="List them: armillary image list.")
        if len(found) > 1:
            raise InvalidArgumentError(
                f"catalog: {len(found)} catalogs have an image {image_id}", remedy="Name one: catalog=NAME."
            )
        return self._package(found[0])

    def _package(self, image: Image) -> bytes:
        if image.image_type == BRIDGE_IMAGE:
            raise InvalidArgumentError(
                f"image {image.image_id} is an artifact for bridged devices, no package",
                remedy="Read about it: armillary bridge artifact show.",
            )
        return self._blobs.read(image.sha256)

    def delete(self, catalog: str, image_id: UUID, *, actor: str) -> None:
        """Delete an image that no deployment names.

        Raises:
            NotFoundError: the catalog has no such image.
            ConflictError: a deployment names it.
        """

        def change(connection: Connection) -> list[bytes]:
            owner = catalog_or_raise(connection, catalog)
            image = image_or_raise(connection, owner.catalog_id, image_id)
            bill = image_rows.bill_of_image(connection, owner.catalog_id, image_id)
            if image_rows.is_deployed(connection, owner.catalog_id, image_id):
                raise ConflictError(
                    f"image {image_id} is part of a deployment", remedy="Delete the deployments that name it first."
                )
            bridge_rows.remove_artifact(connection, owner.catalog_id, image_id)
            image_rows.remove(connection, image, at=self._context.now())
            detail = {"catalog": owner.name, "name": image.name}
            self._context.audit(connection, actor, "image.delete", str(image_id), detail)
            return [image.sha256, *([] if bill is None else [bill.sha256])]

        for digest in self._context.records.write(change):
            with self._blobs.held(digest):
                self.remove_unnamed(digest)
        self._notices.artifacts_changed()

    def sign_again(self, signer: str, *, actor: str) -> None:
        """Sign the images anew that the key of a certificate (its serial) has signed, with the key in force.

        Each is replaced whole or not at all; what it is and who may have it stays.

        Raises:
            DataFolderError: a package is missing or damaged, or the disk refuses.
        """
        found = self._context.records.read(lambda c: store_rows.signed_images(c, signer))
        try:
            for catalog_id, image_id in found:
                self._sign_again(catalog_id, image_id, actor)
        finally:  # those that were replaced before a failure are offered as they are now
            self._notices.artifacts_changed()
            self._notices.groups_changed()

    def _sign_again(self, catalog_id: UUID, image_id: UUID, actor: str) -> None:
        image = self._context.records.read(lambda c: image_rows.one(c, catalog_id, image_id))
        if image is None:
            return
        signer = self._authority.image_signer
        package = image_package.parse(self._blobs.read(image.sha256))
        signed = image_package.resign(package, key=signer.key, certificate=signer.certificate)
        digest = sha256(signed).digest()
        made = replace(image, sha256=digest, size=len(signed), signer=signer.serial)

        def change(connection: Connection) -> None:
            if image_rows.replace_package(connection, image, made, at=self._context.now()):
                detail = {"name": image.name, "sha256": digest.hex(), "before": image.sha256.hex()}
                self._context.audit(connection, actor, "image.sign-again", str(image_id), detail)

        with self._blobs.held(digest):
            try:
                self._blobs.write(signed)
                self._context.records.write(change)
            finally:  # it was deleted meanwhile, or the change was refused
                self.remove_unnamed(digest)
        with self._blobs.held(image.sha256):
            self.remove_unnamed(image.sha256)

    def remove_unnamed(self, digest: bytes) -> None:
        """Remove a blob that nothing names any more; the caller holds it."""
        if remove_unnamed(self._context.records, self._blobs, digest):
            self._deltas.forget(digest)

    def _keep(self, connection: Connection, catalog: str, image: Image, actor: str) -> Image:
        owner = catalog_or_raise(connection, catalog)
        if image_rows.one(connection, owner.catalog_id, image.image_id) is not None:
            raise ConflictError(
                f"catalog {owner.name} has an image {image.image_id}",
                remedy="Images never change; every build has a new image id.",
            )
        if release_rows.has_image(connection, image.image_id):
            raise InvalidArgumentError(
                f"image id: {image.image_id} is a boot component's of an OS release",
                remedy="Pack it again: every build has an image id of its own.",
            )
        kept = Image(**{name: getattr(image, name) for name in Image.__slots__} | {"catalog_id": owner.catalog_id})
        image_rows.add(connection, kept)
        detail = {"catalog": owner.name, "name": image.name, "sha256": image.sha256.hex(), "size": image.size}
        if image.version:
            detail["version"] = image.version
        self._context.audit(connection, actor, "image.upload", str(image.image_id), detail)
        return kept

    def _check_ids(self, package: image_package.UnverifiedImagePackage) -> None:
        """Refuse ids that no application can have: nil, all ones, or a boot component's of a chip.

        A device would take the application for what it boots, or for nothing.
        """
        for what, value in (("component id", package.component_id), ("image id", package.image_id)):
            if value.int in NO_IDS:
                raise InvalidArgumentError(
                    f"{what}: expected an id of its own, got {value}, which is nobody's",
                    remedy="Make one (uuidgen), and pack the application again with it.",
                )
        boots = self._chips.boot_component(package.component_id)
        if boots is not None:
            raise InvalidArgumentError(
                f"component id: {package.component_id} is that of the boot component {boots}",
                remedy="Give the application a component id of its own (uuidgen), and pack it again.",
            )

    def _inspect(self, package: image_package.UnverifiedImagePackage) -> LookedAt:
        """What an application is; a board configuration is for its chip's architecture."""
        if package.image_type == CUSTOMER_BOARD_CONFIG:
            return LookedAt(package, check_board(package, self._chips), None)
        if package.image_type != APPLICATIONS:
            raise InvalidArgumentError(
                f"image type: expected {APPLICATIONS} (application) or {CUSTOMER_BOARD_CONFIG} (board configuration), "
                f"got {package.image_type}",
                remedy="Boot components come with OS releases, not with deployments.",
            )
        try:
            application = application_package.open_unverified(package)
            application_package.needed_os(package)  # a range that is none would be refused by every device
        except ArmillaryError as error:
            error.remedy = error.remedy or "Pack the application again: armillary image-package pack-application."
            raise
        # Firmware of a real-time core is for that core, whatever the chip's processor is.
        real_time = application.manifest.application_type == "RealTimeCapable"
        if real_time:
            _check_firmware(application)
        architecture = ANY_ARCHITECTURE if real_time else _architecture(application.filesystem)
        supported = self._chips.architectures
        if architecture != ANY_ARCHITECTURE and architecture not in supported:
            raise InvalidArgumentError(
                f"architecture: expected {', '.join(sorted(supported))}, got {architecture}",
                remedy="Build the application for a chip of this service, or add a chip profile.",
            )
        return LookedAt(package, architecture, application.manifest)


def image_or_raise(connection: Connection, catalog_id: UUID, image_id: UUID) -> Image:
    """The image of an id in a catalog; NotFoundError, also for another catalog's image."""
    image = image_rows.one(connection, catalog_id, image_id)
    if image is None:
        raise NotFoundError(f"image {image_id} does not exist in this catalog", remedy="Upload it first: image add.")
    return image


def _check_firmware(application: UnverifiedApplication) -> None:
    """Raise InvalidArgumentError where a real-time application is none that a core starts: no device runs it."""
    from armillary.capability.image_checks import firmware_fault  # noqa: PLC0415 - memory: few have real-time cores

    fault = firmware_fault(application.manifest, application.filesystem)
    if fault is not None:
        raise InvalidArgumentError(f"{application.manifest.name}: {fault}", remedy=fault.remedy)


def _architecture(filesystem: Filesystem) -> str:
    """The one architecture of the ELF files; scripts run anywhere."""
    found = architectures(filesystem)
    if len(found) > 1:
        raise InvalidArgumentError(
            f"architecture: expected one, got {', '.join(sorted(found))}", remedy="Build all executables for one chip."
        )
    return next(iter(found), ANY_ARCHITECTURE)


def _check_cursor(after: str | None) -> None:
    if after is None:
        return
    at, _, image_id = after.partition(":")
    try:
        int(at)
        UUID(image_id)
    except ValueError as error:
        raise InvalidArgumentError(
            f"cursor: expected one that this list gave, got {after!r:.60}", remedy="Start again without a cursor."
        ) from error
