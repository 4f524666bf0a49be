# SPDX-License-Identifier: Apache-2.0
"""Software bills of materials (CycloneDX, SPDX): checked, kept as they were given, shown and given back.

The setting ``bill_of_materials`` says what a release or an image without one is worth: nothing is asked (``off``), it
is said in the audit log (``warned``), or it is not published or deployed (``required``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import images as image_rows, releases as release_rows
from armillary.engines.records.schema.rows import Image
from armillary.engines.records.schema.update_rows import BillRow
from armillary.errors import ArmillaryError, ConflictError, NotFoundError
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.service.updates.images import Images, image_or_raise
from armillary.wire.image.bill_of_materials import described_version, read_bill


class Bills:
    """Operations on bills of materials."""

    def __init__(self, context: Context, blobs: Blobs, images: Images) -> None:
        self._context = context
        self._blobs = blobs
        self._images = images

    @property
    def policy(self) -> str:
        """What a release or an image without one is worth: ``off``, ``warned`` or ``required``."""
        return self._context.settings.bill_of_materials

    def put_of_release(self, release_id: UUID, document: bytes, *, actor: str) -> BillRow:
        """Keep the bill of a release, in the place of the one before.

        Raises:
            NotFoundError: no such release.
            InvalidArgumentError: it is no CycloneDX or SPDX document.
        """
        made = self._checked(document, actor, release_id=release_id)

        def change(connection: Connection) -> BillRow | None:
            _check_release(connection, release_id)
            before = image_rows.bill_of_release(connection, release_id)
            image_rows.put_bill(connection, made)
            self._context.audit(connection, actor, "release.add-sbom", str(release_id), _detail(made))
            return before

        return self._keep(made, document, change)

    def put_of_image(self, catalog: str, image_id: UUID, document: bytes, *, actor: str) -> BillRow:
        """Keep the bill of an image of a catalog, in the place of the one before.

        An image without a version has the one that the bill gives for what it describes.

        Raises:
            NotFoundError: no such catalog, or it has no such image.
            InvalidArgumentError: it is no CycloneDX or SPDX document.
        """
        owner = self._context.records.read(lambda c: catalog_or_raise(c, catalog))
        made = self._checked(document, actor, catalog_id=owner.catalog_id, image_id=image_id)
        version = described_version(document)

        def change(connection: Connection) -> BillRow | None:
            image_or_raise(connection, owner.catalog_id, image_id)
            before = image_rows.bill_of_image(connection, owner.catalog_id, image_id)
            image_rows.put_bill(connection, made)
            detail = {"catalog": owner.name, **_detail(made)}
            if version and image_rows.give_version(connection, owner.catalog_id, image_id, version):
                detail["version"] = version
            self._context.audit(connection, actor, "image.add-sbom", str(image_id), detail)
            return before

        return self._keep(made, document, change)

    def of_release(self, release_id: UUID) -> tuple[BillRow, bytes]:
        """The bill of a release, and its document; NotFoundError if there is none."""

        def query(connection: Connection) -> BillRow | None:
            _check_release(connection, release_id)
            return image_rows.bill_of_release(connection, release_id)

        return self._read(self._context.records.read(query), f"release {release_id}")

    def of_image(self, catalog: str, image_id: UUID) -> tuple[BillRow, bytes]:
        """The bill of an image of a catalog, and its document; NotFoundError if there is none."""

        def query(connection: Connection) -> BillRow | None:
            owner = catalog_or_raise(connection, catalog)
            image_or_raise(connection, owner.catalog_id, image_id)
            return image_rows.bill_of_image(connection, owner.catalog_id, image_id)

        return self._read(self._context.records.read(query), f"image {image_id}")

    def of_releases(self) -> Mapping[UUID, BillRow]:
        """Release id -> what is kept of its bill, for all releases that have one."""
        found = self._context.records.read(image_rows.bills_of_releases)
        return {one.release_id: one for one in found if one.release_id is not None}

    def of_images(self, catalog: str, image_ids: Collection[UUID]) -> Mapping[UUID, BillRow]:
        """Image id -> what is kept of its bill, for those of some images of a catalog that have one."""

        def query(connection: Connection) -> tuple[BillRow, ...]:
            owner = catalog_or_raise(connection, catalog)
            return image_rows.bills_of_images(connection, owner.catalog_id, image_ids)

        return {one.image_id: one for one in self._context.records.read(query) if one.image_id is not None}

    def _checked(
        self,
        document: bytes,
        actor: str,
        *,
        release_id: UUID | None = None,
        catalog_id: UUID | None = None,
        image_id: UUID | None = None,
    ) -> BillRow:
        from armillary.service.advisories.listed import check_versions  # noqa: PLC0415 - when a bill comes

        read = read_bill(document)
        check_versions(document)
        return BillRow(
            release_id=release_id,
            catalog_id=catalog_id,
            image_id=image_id,
            sha256=sha256(document).digest(),
            size=len(document),
            spec_version=read.spec_version,
            components=read.components,
            added_at=self._context.now(),
            added_by=actor,
        )

    def _keep(self, made: BillRow, document: bytes, change: Callable[[Connection], BillRow | None]) -> BillRow:
        """Write the document, then what names it; what nothing names any more is removed."""
        with self._blobs.held(made.sha256):
            self._blobs.write(document)
            try:
                before = self._context.records.write(change)
            except ArmillaryError:
                self._images.remove_unnamed(made.sha256)
                raise
        if before is not None and before.sha256 != made.sha256:
            with self._blobs.held(before.sha256):
                self._images.remove_unnamed(before.sha256)
        return made

    def _read(self, found: BillRow | None, whose: str) -> tuple[BillRow, bytes]:
        if found is None:
            raise NotFoundError(
                f"{whose} has no bill of materials", remedy="Add one: a CycloneDX or SPDX document in JSON."
            )
        return found, self._blobs.read(found.sha256)


def check_bills(context: Context, connection: Connection, catalog_id: UUID, images: Sequence[Image]) -> list[str]:
    """The names of images without a bill, where the service warns of them; ConflictError where it requires one."""
    policy = context.settings.bill_of_materials
    if policy == "off":
        return []
    lacking = image_rows.without_bill(connection, catalog_id, [image.image_id for image in images])
    names = [image.name for image in images if image.image_id in lacking]
    if names and policy == "required":
        raise ConflictError(
            f"images without a bill of materials: {', '.join(names)}",
            remedy="Add them first: armillary image add-sbom; the setting bill_of_materials requires them.",
        )
    return names


def lacks_bill(context: Context, connection: Connection, release_id: UUID) -> bool:
    """Whether the service warns of a release that has no bill; ConflictError where it requires one."""
    policy = context.settings.bill_of_materials
    lacking = policy != "off" and image_rows.bill_of_release(connection, release_id) is None
    if lacking and policy == "required":
        raise ConflictError(
            f"release {release_id} has no bill of materials",
            remedy="Add it first: armillary release add-sbom; the setting bill_of_materials requires it.",
        )
    return lacking


def _check_release(connection: Connection, release_id: UUID) -> None:
    if all(one.release_id != release_id for one in release_rows.every(connection, drafts=True)):
        raise NotFoundError(f"release {release_id} does not exist", remedy="List them: armillary release list.")


def _detail(bill: BillRow) -> dict[str, object]:
    return {"sha256": bill.sha256.hex(), "components": bill.components}
