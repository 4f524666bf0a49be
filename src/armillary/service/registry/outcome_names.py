# SPDX-License-Identifier: Apache-2.0
"""What the images of update outcomes are called: a catalog's images by name, boot components by their OS's version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import images as image_rows, releases as release_rows
from armillary.engines.records.schema.rows import UpdateOutcome
from armillary.wire.image.naming import image_label


class Updated(NamedTuple):
    """What a device was updated to.

    Attributes:
        name: ``gateway 2.1``, or ``OS 26.12``; empty where the image is neither.
        release_id: The OS release; None where it is none.
    """

    name: str = ""
    release_id: UUID | None = None


def updated(connection: Connection, catalog_id: UUID | None, outcomes: Sequence[UpdateOutcome]) -> list[Updated]:
    """What each outcome is about, in their order; images are those of the catalog, None for no images of any.

    A boot component may be in several releases: of these it is the one that was offered, or else the newest.
    """
    ids = {each.image_id for each in outcomes}
    images = () if catalog_id is None else image_rows.some(connection, catalog_id, ids)
    found = {image.image_id: Updated(image_label(image.name, image.version)) for image in images}
    releases = release_rows.versions_by_image(connection, ids - found.keys())

    def of(outcome: UpdateOutcome) -> Updated:
        versions = releases.get(outcome.image_id)
        if versions is None:
            return found.get(outcome.image_id, Updated())
        release_id = outcome.offer_id if outcome.offer_id in versions else next(reversed(versions))
        return Updated(f"OS {versions[release_id]}", release_id)

    return [of(each) for each in outcomes]
