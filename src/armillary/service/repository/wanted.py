# SPDX-License-Identifier: Apache-2.0
"""What the repository should serve, by the records: OS components, trust stores, and the images of catalogs."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    images as image_rows,
    releases as release_rows,
)
from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.service.repository.roles import OS, catalog_role, image_path, os_path, trust_path

# Role -> target path -> (length in bytes, SHA-256 in hex).
Wanted = Mapping[str, Mapping[str, tuple[int, str]]]


def wanted(connection: Connection) -> Wanted:
    """The targets of ``os``, and of each catalog that has images.

    A release that was withdrawn is not to be installed by anybody; of an imported one there are no packages.
    """
    found: dict[str, dict[str, tuple[int, str]]] = {OS: {}}
    for release in release_rows.every(connection):
        if release.withdrawn_at is None and release.imported_from is None:
            for part in release.components:
                path = os_path(release.chip, release.version, part.name)
                found[OS][path] = (part.size, part.digest.hex())
    for store in store_rows.every(connection):
        for package in store.packages:
            found[OS][trust_path(store.kind, package.image_id)] = (package.size, package.sha256.hex())
    for image in image_rows.artifacts(connection):
        targets = found.setdefault(catalog_role(image.catalog_id), {})
        targets[image_path(image.catalog_id, image.image_id)] = (image.size, image.sha256.hex())
    return found
