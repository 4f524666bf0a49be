# SPDX-License-Identifier: Apache-2.0
"""The release log: what was published, promoted, revoked, given an end, uploaded, signed again and deleted.

Entries are written where releases and images change (``queries/releases.py``, ``queries/images.py``), in the same
transaction, so that no operation can forget them. Each names the digests of what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select

from armillary.engines.records.schema import log_tables
from armillary.engines.records.schema.rows import Image, OsRelease
from armillary.engines.records.transparency import tree
from armillary.wire.transparency.entry import RELEASES, detail_text, leaf_of

PUBLISHED: Final = "release.publish"
IMPORTED: Final = "release.import"
MOVED: Final = "release.promote"
TAKEN_BACK: Final = "release.take-back"
ENDS: Final = "release.set-expiry"
WITHDRAWN: Final = "release.withdraw"
FLOOR: Final = "release.raise-floor"
UPLOADED: Final = "image.upload"
SIGNED_AGAIN: Final = "image.sign-again"
DELETED: Final = "image.delete"

_event = log_tables.release_event


def of_release(connection: Connection, operation: str, release: OsRelease, *, at: int, **said: object) -> None:
    """Append what was done with a release; ``said`` is said besides chip, version, feed and digests."""
    detail = {
        "chip": release.chip,
        "version": release.version,
        "feed": release.feed,
        "components": {each.name: each.digest.hex() for each in release.components},
        **said,
    }
    append(connection, operation, str(release.release_id), detail, at=at)


def of_image(connection: Connection, operation: str, image: Image, *, at: int, **said: object) -> None:
    """Append what was done with an image of a catalog."""
    detail = {"catalog": str(image.catalog_id), "name": image.name, "sha256": image.sha256.hex(), **said}
    append(connection, operation, str(image.image_id), detail, at=at)


def append(connection: Connection, operation: str, target: str, detail: Mapping[str, Any], *, at: int) -> None:
    """Append an entry inside the caller's transaction."""
    number = size(connection) + 1
    row = {"number": number, "at": at, "operation": operation, "target": target, "detail": detail_text(detail)}
    connection.execute(insert(_event).values(row))
    tree.extend(connection, RELEASES, number, leaves)


def size(connection: Connection) -> int:
    """How many entries there are."""
    return int(connection.execute(select(func.coalesce(func.max(_event.c.number), 0))).scalar_one())


def leaves(connection: Connection, first: int, count: int) -> Sequence[bytes]:
    """The leaves of entries from an index on; fewer where there are no more."""
    query = select(_event).where(_event.c.number > first, _event.c.number <= first + count).order_by(_event.c.number)
    rows = connection.execute(query)
    return [leaf_of(row.number, row.at, "", row.operation, row.target, row.detail) for row in rows]


def numbers_of(connection: Connection, target: str, limit: int) -> tuple[int, ...]:
    """The numbers of the newest entries of a release or an image, in their order."""
    query = select(_event.c.number).where(_event.c.target == target).order_by(_event.c.number.desc()).limit(limit)
    return tuple(sorted(connection.execute(query).scalars()))
