# SPDX-License-Identifier: Apache-2.0
"""Lists of devices: a page and a count of those that match a filter, and a search by id or name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from armillary.engines.records.queries import catalogs as catalog_rows, names as name_rows
from armillary.engines.records.queries.devices import as_device, devices_query, health_word
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Device, DeviceFilter, Page
from armillary.wire.text.device_name import id_prefix

_device, _status = schema.device, schema.device_status
_catalog, _product, _group = schema.catalog, schema.product, schema.device_group


def page(
    connection: Connection, chosen: DeviceFilter, *, limit: int, after: str | None, now: int, silent_after_s: int
) -> Page[Device]:
    """Devices by id, after the id ``after``; a search joins what it finds in the index of ids and in that of names."""
    query = devices_query(now, silent_after_s).where(*_conditions(chosen, now, silent_after_s))
    if after is not None:
        query = query.where(_device.c.device_id > after)
    query = query.order_by(_device.c.device_id).limit(limit + 1)
    if chosen.search is None:
        return _page_of(connection.execute(query).all(), limit)
    named, is_cut = _named(connection, chosen)
    by_id = {row.device_id: row for row in connection.execute(query.where(_device.c.device_id.in_(named)))}
    prefix = id_prefix(chosen.search)
    if prefix is not None:
        by_id |= {row.device_id: row for row in connection.execute(query.where(_begins(prefix)))}
    return _page_of([by_id[each] for each in sorted(by_id)][: limit + 1], limit, is_cut=is_cut)


def matching(
    connection: Connection, chosen: DeviceFilter, *, now: int, silent_after_s: int
) -> tuple[list[ColumnElement[bool]], bool]:
    """What a device of a filter meets, and whether more names match its search than are looked through."""
    found, is_cut = _conditions(chosen, now, silent_after_s), False
    if chosen.search is not None:
        named, is_cut = _named(connection, chosen)
        found.append(_searched(chosen.search, named))
    return found, is_cut


def count(connection: Connection, chosen: DeviceFilter, *, now: int, silent_after_s: int) -> int:
    """How many devices match a filter; joins only the tables it names, so that for a catalog an index is enough."""
    joined = _device.join(_status, _status.c.device_number == _device.c.number)
    if (chosen.product, chosen.group, chosen.support) != (None, None, None):
        joined = joined.join(_group, _group.c.group_id == _device.c.group_id)
        joined = joined.join(_product, _product.c.product_id == _group.c.product_id)
    if chosen.catalog is not None:
        joined = joined.join(_catalog, _catalog.c.catalog_id == _device.c.catalog_id)
    conditions, _ = matching(connection, chosen, now=now, silent_after_s=silent_after_s)
    return int(connection.execute(select(func.count()).select_from(joined).where(*conditions)).scalar_one())


def _conditions(chosen: DeviceFilter, now: int, silent_after_s: int) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, name in ((_catalog, chosen.catalog), (_product, chosen.product), (_group, chosen.group)):
        if name is not None:
            found.append(column.c.name_key == name.lower())
    if chosen.health is not None:
        found.append(health_word(now, silent_after_s) == chosen.health)
    for equal, value in (
        (_device.c.chip, chosen.chip),
        (_device.c.trust_tier, chosen.trust_tier),
        (_status.c.verdict, chosen.verdict),
        (_status.c.os_version, chosen.os_version),
    ):
        if value is not None:
            found.append(equal == value)
    if chosen.device_id_prefix is not None:
        found.append(_begins(chosen.device_id_prefix.lower()))
    if chosen.image_id is not None:
        found.append(_status.c.installed.contains(str(chosen.image_id), autoescape=True))
    if chosen.support is not None:
        found.append(catalog_rows.support_is(chosen.support, now))
    if chosen.claimed is not None:
        found.append(_device.c.catalog_id.is_not(None) if chosen.claimed else _device.c.catalog_id.is_(None))
    return found


def _searched(search: str, named: Sequence[str]) -> ColumnElement[bool]:
    """What a search finds: devices by name, and where it may be the beginning of an id those with that."""
    prefix = id_prefix(search)
    by_name = _device.c.device_id.in_(named)
    return by_name if prefix is None else or_(by_name, _begins(prefix))


def _begins(prefix: str) -> ColumnElement[bool]:
    # A range, not LIKE: it uses the index, and no character of the prefix is a wildcard.
    return and_(_device.c.device_id >= prefix, _device.c.device_id < prefix + "g")


def _named(connection: Connection, chosen: DeviceFilter) -> tuple[tuple[str, ...], bool]:
    """Devices with a name that a search finds, and whether more names match than are looked through."""
    owner = None
    if chosen.catalog is not None:
        owner = connection.execute(
            select(_catalog.c.catalog_id).where(_catalog.c.name_key == chosen.catalog.lower())
        ).scalar()
        if owner is None:
            return (), False
    found = name_rows.matching(connection, chosen.search or "", catalog_id=owner, limit=name_rows.MAX_MATCHES)
    return found, len(found) == name_rows.MAX_MATCHES


def _page_of(rows: Sequence[Row[Any]], limit: int, *, is_cut: bool = False) -> Page[Device]:
    items = tuple(as_device(row) for row in rows[:limit])
    return Page(items, items[-1].device_id if len(rows) > limit else None, is_cut)
