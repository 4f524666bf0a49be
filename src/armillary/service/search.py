# SPDX-License-Identifier: Apache-2.0
"""Search in the records: devices, catalogs, products, device groups, images, releases, roll-outs, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row

from armillary.engines.records import search as rows
from armillary.engines.records.queries import names as name_rows
from armillary.service.context.context import Context
from armillary.service.registry.device_names import DeviceNames
from armillary.service.registry.names import catalog_or_raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something that a search found.

    Attributes:
        kind: A noun of the API: ``device``, ``hub-device``, ``rollout``, ...
        id: By which the API names it.
        name: What people call it.
        note: What tells it apart from others of its name: a state, a severity, a chip.
        catalog, product, group: Where it is; None where that is not said of its kind.
    """

    kind: str
    id: str
    name: str
    note: str = ""
    catalog: str | None = None
    product: str | None = None
    group: str | None = None


Query = Callable[[Connection, str, UUID | None, int], list[Hit]]


class Search:
    """Finds what people look for by its name, its id or the first digits of one. Methods block for the records."""

    def __init__(self, context: Context, names: DeviceNames) -> None:
        self._context = context
        self._names = names

    def find(self, kind: str, text: str, *, catalog: str | None, limit: int) -> list[Hit]:
        """Hits of one of :data:`KINDS`; ``catalog`` None looks in all. Raises NotFoundError for an unknown catalog."""

        def query(connection: Connection) -> list[Hit]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return KINDS[kind](connection, text, owner, limit)

        return self._context.records.read(query)

    def devices(
        self, text: str, *, catalog: str | None, limit: int, most: int, among: Callable[[str], bool] | None
    ) -> tuple[list[Hit], int]:
        """The first ``limit`` devices of both kinds, and how many there are, at most ``most``; by name, id and place.

        ``among`` narrows them to those it is true of. Raises NotFoundError for an unknown catalog.
        """
        # Whoever sees few of a catalog's devices finds theirs among the many that match.
        looked = most if among is None else max(most, name_rows.MAX_MATCHES)

        def query(connection: Connection) -> Sequence[str]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return rows.devices(connection, text, catalog_id=owner, limit=looked)

        found = [each for each in self._context.records.read(query) if among is None or among(each)][:most]
        places = self._context.records.read(lambda c: rows.places(c, found[:limit]))
        hits = [
            Hit(
                kind="device" if each.kind == "attested" else "hub-device",
                id=each.device_id,
                name=each.name,
                catalog=each.catalog,
                **dict(zip(("product", "group"), places.get(each.device_id, ()), strict=False)),
            )
            for each in self._names.described(found[:limit])
        ]
        return hits, len(found)


def _catalogs(connection: Connection, text: str, owner: UUID | None, limit: int) -> list[Hit]:
    found = rows.catalogs(connection, text, catalog_id=owner, limit=limit)
    return [Hit(kind="catalog", id=row.name, name=row.name, catalog=row.name) for row in found]


def _products(connection: Connection, text: str, owner: UUID | None, limit: int) -> list[Hit]:
    found = rows.products(connection, text, catalog_id=owner, limit=limit)
    return [Hit(kind="product", id=row.name, name=row.name, catalog=row.catalog, product=row.name) for row in found]


def _groups(connection: Connection, text: str, owner: UUID | None, limit: int) -> list[Hit]:
    return [
        Hit(kind="device-group", id=row.name, name=row.name, catalog=row.catalog, product=row.product, group=row.name)
        for row in rows.groups(connection, text, catalog_id=owner, limit=limit)
    ]


def _images(connection: Connection, text: str, owner: UUID | None, limit: int) -> list[Hit]:
    found = rows.images(connection, text, catalog_id=owner, limit=limit)
    return [
        Hit(kind="image", id=str(row.image_id), name=row.name, note=row.version, catalog=row.catalog) for row in found
    ]


def _releases(connection: Connection, text: str, _owner: UUID | None, limit: int) -> list[Hit]:
    return [
        Hit(kind="release", id=str(row.release_id), name=row.version, note=f"{row.chip}, {row.feed}")
        for row in rows.releases(connection, text, limit=limit)
    ]


def _rollouts(connection: Connection, text: str, owner: UUID | None, limit: int) -> list[Hit]:
    return [
        Hit(
            kind="rollout",
            id=str(row.rollout_id),
            name=_rollout_name(row),
            note=row.state,
            catalog=row.catalog,
            product=row.product,
            group=row.group,
        )
        for row in rows.rollouts(connection, text, catalog_id=owner, limit=limit)
    ]


def _rollout_name(row: Row[Any]) -> str:
    return f"OS {row.version} on {row.chip}" if row.version else f"{row.product} / {row.group}"


def _findings(connection: Connection, text: str, owner: UUID | None, limit: int) -> list[Hit]:
    found = rows.findings(connection, text, catalog_id=owner, limit=limit)
    return [
        Hit(
            kind="finding",
            id=str(row.finding_id),
            name=row.title,
            note=f"{row.severity}, {row.status}",
            catalog=row.catalog,
        )
        for row in found
    ]


# Kind of a hit -> its query. Releases are the same for all catalogs.
KINDS: Final[Mapping[str, Query]] = MappingProxyType(
    {
        "catalog": _catalogs,
        "product": _products,
        "device-group": _groups,
        "image": _images,
        "release": _releases,
        "rollout": _rollouts,
        "finding": _findings,
    }
)
