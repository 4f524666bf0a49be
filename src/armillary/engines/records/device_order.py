# SPDX-License-Identifier: Apache-2.0
"""Lists of devices in the order of a column, over all pages.

No index has these orders: a list of more than :data:`MAX_SORTED` devices is not sorted (``ordered.py``). A cursor stays
true while others check in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, case, func, literal

from armillary.engines.records import ordered
from armillary.engines.records.queries import device_lists
from armillary.engines.records.queries.devices import as_device, devices_query, health_word
from armillary.engines.records.queries.pages import portions
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Device, DeviceFilter, Page
from armillary.wire.text.device_name import ID_DIGITS, MAX_KEY_CHARACTERS

# Devices that match, of which a list is sorted.
MAX_SORTED: Final = ordered.MAX_SORTED
# Health, the gravest first: every word of ``rows.HEALTHS``.
GRAVITY: Final = (
    "held", "quarantined", "refused", "revoked", "update-only",
    "silent", "never", "simulated", "unattested", "attested",
)  # fmt: skip

_device, _status, _name = schema.device, schema.device_status, schema.device_name
_product, _group = schema.product, schema.device_group


def with_names(query: Select[Any]) -> Select[Any]:
    """A query of the table of devices, with the tables that :func:`shown_name` reads."""
    query = query.outerjoin(_group, _group.c.group_id == _device.c.group_id)
    query = query.outerjoin(_product, _product.c.product_id == _group.c.product_id)
    return query.outerjoin(_name, _name.c.identity == _device.c.device_id)


def shown_name() -> ColumnElement[Any]:
    """The name that lists show (``wire/text/device_name.default_name``)."""
    product = case((_product.c.name.like(".%"), None), else_=_product.c.name)
    kind = func.coalesce(product, _device.c.chip_sku)
    default = kind + " " + func.substr(_device.c.device_id, 1, ID_DIGITS)
    return func.coalesce(_name.c.name, default)


def _text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.substr(func.lower(func.coalesce(column, "")), 1, MAX_KEY_CHARACTERS)


def _gravity(now: int, silent_after_s: int) -> ColumnElement[Any]:
    health = health_word(now, silent_after_s)
    ranks = [(health == word, literal(rank, BigInteger)) for rank, word in enumerate(GRAVITY)]
    return case(*ranks, else_=literal(len(GRAVITY), BigInteger))


# Word of an order -> its column, and whether it holds text or a number.
_ORDERS: Final[Mapping[str, tuple[Callable[[int, int], ColumnElement[Any]], type[str | int]]]] = MappingProxyType(
    {
        "name": (lambda _now, _silent: _text(shown_name()), str),
        "health": (_gravity, int),
        "last_check_in_at": (lambda _now, _silent: func.coalesce(_status.c.checked_in_at, ordered.NEVER), int),
        "group": (lambda _now, _silent: _text(_product.c.name + " / " + _group.c.name), str),
        "os_version": (lambda _now, _silent: _text(_status.c.os_version), str),
        "trust_tier": (lambda _now, _silent: _text(_device.c.trust_tier), str),
        "chip": (lambda _now, _silent: _text(_device.c.chip_sku), str),
    }
)
# Words of all orders; each falls with "-" before it.
ORDERS: Final = tuple(_ORDERS)


def check_order(order: str) -> None:
    """Raise InvalidArgumentError for a word that is no order."""
    ordered.check(order, ORDERS)


def page(
    connection: Connection,
    chosen: DeviceFilter,
    order: str,
    *,
    limit: int,
    after: str | None,
    now: int,
    silent_after_s: int,
) -> Page[Device]:
    """Devices of a filter in an order, after the cursor ``after``.

    Raises:
        InvalidArgumentError: more devices match than are sorted, or the cursor is none of this order.
    """
    conditions, is_cut = device_lists.matching(connection, chosen, now=now, silent_after_s=silent_after_s)
    column_of, kind = _ORDERS[order.removeprefix("-")]
    # The tables of a device without its columns.
    query = devices_query(now, silent_after_s).where(*conditions).with_only_columns(_device.c.number)
    rows, cursor = ordered.rows(
        connection,
        query,
        ordered.Order(column_of(now, silent_after_s), kind),
        ordered.Key(_device.c.number),
        falls=order.startswith("-"),
        limit=limit,
        after=after,
        what="devices",
        most=MAX_SORTED,
    )
    return Page(_devices(connection, [row.number for row in rows], now, silent_after_s), cursor, is_cut)


def _devices(connection: Connection, numbers: Sequence[int], now: int, silent_after_s: int) -> tuple[Device, ...]:
    """The devices of row numbers, in their order."""
    found: dict[int, Device] = {}
    for some in portions(numbers):
        query = devices_query(now, silent_after_s).where(_device.c.number.in_(some))
        found |= {row.number: as_device(row) for row in connection.execute(query)}
    return tuple(found[each] for each in numbers)
