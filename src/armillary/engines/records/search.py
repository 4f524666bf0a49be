# SPDX-License-Identifier: Apache-2.0
"""Finds records by a text: devices by an index of words and ids, everything else in a bounded number of rows.

Whatever the size of the fleet, each query reads a fixed number of rows, or those of a kind that people make one by one
(catalogs, products, groups, images, releases), and returns at most ``limit`` of them. ``catalog_id`` None looks in all
catalogs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, false, func, or_, select

from armillary.engines.records.queries import names as name_rows
from armillary.engines.records.schema import schema
from armillary.wire.text.device_name import default_name_digits, id_prefix

_device, _identity, _image, _finding = schema.device, schema.hub_identity, schema.image, schema.finding
_catalog, _product, _group = schema.catalog, schema.product, schema.device_group
_rollout, _release = schema.rollout, schema.os_release

# Rows of one kind that a search looks through, newest first: some milliseconds.
MAX_LOOKED_THROUGH: Final = 2000
# Fewest first digits of an id that are looked for: fewer mean too many, and are more often a word.
MIN_ID_DIGITS: Final = 4
_HEX: Final = re.compile(r"[0-9a-f-]{4,36}")


def devices(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> tuple[str, ...]:
    """Devices of both kinds whose name or id begins so, or whose product or group has the text in its name."""
    found = dict.fromkeys(name_rows.matching(connection, text, catalog_id=catalog_id, limit=limit))
    prefix = id_prefix(text) or default_name_digits(text)
    if prefix is not None:  # "g" comes after every digit of an id
        query = select(_device.c.device_id).where(_device.c.device_id >= prefix, _device.c.device_id < prefix + "g")
        found |= _ids(connection, _of(query, _device.c.catalog_id, catalog_id).order_by(_device.c.device_id), limit)
    # "~" comes after every character that an id may have
    query = select(_identity.c.identity).where(_identity.c.identity >= text, _identity.c.identity < f"{text}~")
    query = query.where(~_identity.c.identity.contains("/")).order_by(_identity.c.identity)
    found |= _ids(connection, _of(query, _identity.c.catalog_id, catalog_id), limit)
    if len(found) < limit:
        in_groups = [row.group_id for row in groups(connection, text, catalog_id=catalog_id, limit=limit)]
        for number in in_groups:
            query = select(_device.c.device_id).where(_device.c.group_id == number, _device.c.revoked_at.is_(None))
            found |= _ids(connection, query.order_by(_device.c.number), limit - len(found))
            if len(found) >= limit:
                break
    return tuple(found)[:limit]


def places(connection: Connection, device_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Product and group by device id, of those among these that attest and are claimed."""
    query = select(_device.c.device_id, _product.c.name, _group.c.name.label("group")).select_from(_device)
    query = query.join(_group, _group.c.group_id == _device.c.group_id)
    query = query.join(_product, _product.c.product_id == _group.c.product_id)
    query = query.where(_device.c.device_id.in_(device_ids), ~_product.c.name.startswith("."))
    return {row.device_id: (row.name, row.group) for row in connection.execute(query)}


def catalogs(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> list[Row[Any]]:
    """Catalogs: ``name``."""
    query = select(_catalog.c.name).where(_has(_catalog.c.name_key, text), ~_catalog.c.name.startswith("."))
    return _rows(connection, _of(query, _catalog.c.catalog_id, catalog_id).order_by(_catalog.c.name_key), limit)


def products(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> list[Row[Any]]:
    """Products: ``name``, ``catalog``."""
    query = select(_product.c.name, _catalog.c.name.label("catalog"))
    query = query.join(_catalog, _catalog.c.catalog_id == _product.c.catalog_id)
    query = query.where(_has(_product.c.name_key, text), ~_product.c.name.startswith("."))
    return _rows(connection, _of(query, _product.c.catalog_id, catalog_id).order_by(_product.c.name_key), limit)


def groups(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> list[Row[Any]]:
    """Device groups by their name or their product's: ``group_id``, ``name``, ``product``, ``catalog``."""
    query = _groups(select(_group.c.group_id, _group.c.name, *_OWNERS).select_from(_group))
    is_meant = or_(_has(_group.c.name_key, text), _has(_product.c.name_key, text))
    query = query.where(is_meant, ~_group.c.name.startswith("."), ~_product.c.name.startswith("."))
    order = (~_has(_group.c.name_key, text), _group.c.name_key, _product.c.name_key)
    return _rows(connection, _of(query, _product.c.catalog_id, catalog_id).order_by(*order), limit)


def images(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> list[Row[Any]]:
    """Images by name, version, id or component, newest first: id, name, version, catalog, when uploaded."""
    columns = (_image.c.image_id, _image.c.name, _image.c.version, _image.c.uploaded_at)
    named = select(*columns, _catalog.c.name.label("catalog"))
    named = named.join(_catalog, _catalog.c.catalog_id == _image.c.catalog_id)
    has = (_has(column, text) for column in (_image.c.name, _image.c.version))
    is_meant = or_(*has, _begins(_image.c.image_id, text), _begins(_image.c.component_id, text))
    query = _of(named.where(is_meant), _image.c.catalog_id, catalog_id)
    return _rows(connection, query.order_by(_image.c.uploaded_at.desc(), _image.c.image_id), limit)


def releases(connection: Connection, text: str, *, limit: int) -> list[Row[Any]]:
    """OS releases by version, chip, feed or id, newest first: ``release_id``, ``version``, ``chip``, ``feed``."""
    has = (_has(column, text) for column in (_release.c.version, _release.c.chip, _release.c.feed))
    query = select(_release).where(or_(*has, _begins(_release.c.release_id, text)))
    return _rows(connection, query.order_by(_release.c.created_at.desc()), limit)


def rollouts(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> list[Row[Any]]:
    """Roll-outs by group, product, release, state or id, newest first.

    ``rollout_id``, ``state``, ``group``, ``product``, ``catalog``, ``version``; of an operating system no group.
    """
    found = select(_rollout)
    if catalog_id is not None:  # before the newest are taken, so that others' do not hide them
        groups = select(_group.c.group_id).join(_product, _product.c.product_id == _group.c.product_id)
        groups = groups.where(_product.c.catalog_id == catalog_id)
        found = found.where(or_(_rollout.c.only_catalog_id == catalog_id, _rollout.c.group_id.in_(groups)))
    newest = found.order_by(_rollout.c.number.desc()).limit(MAX_LOOKED_THROUGH).subquery()
    query = select(
        newest.c.rollout_id, newest.c.state, _group.c.name.label("group"), *_OWNERS, _release.c.version, _release.c.chip
    ).select_from(newest)
    query = query.outerjoin(_group, _group.c.group_id == newest.c.group_id)
    query = query.outerjoin(_product, _product.c.product_id == _group.c.product_id)
    owner = func.coalesce(_product.c.catalog_id, newest.c.only_catalog_id)
    query = query.outerjoin(_catalog, _catalog.c.catalog_id == owner)
    query = query.outerjoin(_release, _release.c.release_id == newest.c.release_id)
    texts = (_group.c.name_key, _product.c.name_key, _release.c.version, _release.c.chip, newest.c.state)
    query = query.where(or_(*(_has(column, text) for column in texts), _begins(newest.c.rollout_id, text)))
    return _rows(connection, _of(query, owner, catalog_id).order_by(newest.c.number.desc()), limit)


def findings(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> list[Row[Any]]:
    """Findings by title, cause, kind or id: those that are not closed first, then newest first.

    ``finding_id``, ``title``, ``severity``, ``status``, ``catalog``.
    """
    kept = (_finding.c[each] for each in ("number", "finding_id", "title", "cause", "kind", "severity", "status"))
    query = _of(select(*kept, _finding.c.catalog_id), _finding.c.catalog_id, catalog_id)
    newest = query.order_by(_finding.c.number.desc()).limit(MAX_LOOKED_THROUGH).subquery()
    has = (_has(column, text) for column in (newest.c.title, newest.c.cause, newest.c.kind))
    found = select(newest, _catalog.c.name.label("catalog")).select_from(newest)
    found = found.outerjoin(_catalog, _catalog.c.catalog_id == newest.c.catalog_id)
    found = found.where(or_(*has, _begins(newest.c.finding_id, text)))
    return _rows(connection, found.order_by(newest.c.status == "closed", newest.c.number.desc()), limit)


_OWNERS: Final = (_product.c.name.label("product"), _catalog.c.name.label("catalog"))


def _groups(query: Select[Any]) -> Select[Any]:
    query = query.join(_product, _product.c.product_id == _group.c.product_id)
    return query.join(_catalog, _catalog.c.catalog_id == _product.c.catalog_id)


def _of(query: Select[Any], column: ColumnElement[Any], catalog_id: UUID | None) -> Select[Any]:
    return query if catalog_id is None else query.where(column == catalog_id)


def _has(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    # The databases fold the case of ASCII at least; a text of other letters is looked for as it was typed as well.
    lower = func.lower(column).contains(text.lower(), autoescape=True)
    return lower if text.isascii() else or_(lower, column.contains(text, autoescape=True))


def _begins(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Whether an id (a UUID) begins with the digits; never, of a text that is no beginning of one."""
    digits = text.lower().replace("-", "")
    if _HEX.fullmatch(text.lower()) is None or not MIN_ID_DIGITS <= len(digits) <= 32:
        return false()
    return and_(column >= UUID(digits.ljust(32, "0")), column <= UUID(digits.ljust(32, "f")))


def _ids(connection: Connection, query: Select[Any], limit: int) -> dict[str, None]:
    return dict.fromkeys(connection.execute(query.limit(limit)).scalars())


def _rows(connection: Connection, query: Select[Any], limit: int) -> list[Row[Any]]:
    return list(connection.execute(query.limit(limit)))
