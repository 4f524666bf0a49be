# SPDX-License-Identifier: Apache-2.0
"""What a case or a dossier is about: products of a catalog or of all, their groups, and how many devices these have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.advisories import software as software_rows
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.rows import DeviceGroup, Product
from armillary.service.advisories.exposure import MEMBER_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Products, their groups, and the devices of each group. ``catalog`` is empty for all, ``product_id`` None."""

    catalog: str
    catalog_id: UUID | None
    product_id: UUID | None
    products: tuple[Product, ...]
    groups: tuple[DeviceGroup, ...]
    devices: Counter[UUID]

    @property
    def device_count(self) -> int:
        """All devices in scope."""
        return self.devices.total()

    def countries(self) -> dict[str, int]:
        """Devices by the country of their group; the empty word where nobody said."""
        found: Counter[str] = Counter()
        for group in self.groups:
            if self.devices[group.group_id]:
                found[group.country] += self.devices[group.group_id]
        return dict(sorted(found.items()))

    def of_products(self, names: Iterable[str]) -> tuple[Product, ...]:
        """The products of these names, as ``CATALOG/PRODUCT``."""
        wanted = set(names)
        return tuple(each for each in self.products if f"{each.catalog}/{each.name}" in wanted)


def read(connection: Connection, catalog_id: UUID | None, product_id: UUID | None) -> Scope:
    """A catalog (None: all), or a product of it; products that a catalog made itself are left out."""
    products = (
        catalog_rows.every_product(connection) if catalog_id is None else catalog_rows.products(connection, catalog_id)
    )
    chosen = tuple(each for each in products if not each.name.startswith(".") and product_id in (None, each.product_id))
    groups = tuple(
        each
        for each in catalog_rows.every_group(connection)
        if catalog_id in (None, each.catalog_id) and product_id in (None, each.product_id)
    )
    known = {each.group_id for each in groups}
    devices: Counter[UUID] = Counter()
    for pair in software_rows.pairs(connection):
        if pair.group_id in known:
            devices[pair.group_id] += pair.devices
    owner = None if catalog_id is None else catalog_rows.catalog_by_id(connection, catalog_id)
    return Scope(
        catalog="" if owner is None else owner.name,
        catalog_id=catalog_id,
        product_id=product_id,
        products=chosen,
        groups=groups,
        devices=devices,
    )


def devices(number: int) -> str:
    """``1 device``, ``2 devices``."""
    return f"{number} device" if number == 1 else f"{number} devices"


def member_states(countries: dict[str, int]) -> dict[str, int]:
    """Those of the countries that are Member States of the Union."""
    return {name: number for name, number in countries.items() if name in MEMBER_STATES}
