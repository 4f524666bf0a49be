# SPDX-License-Identifier: Apache-2.0
"""Lists of devices in the order of a column, over all pages.

No index has these orders: each page reads the column of every device that matches, so that a list of more than
:data:`MAX_SORTED` is not sorted. A cursor holds the value and the row number of the last device, and stays true while
others check in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, case, func, literal, or_, select

from armillary.engines.records.queries import device_lists
from armillary.engines.records.queries.devices import as_device, devices_query, health_word
from armillary.engines.records.queries.pages import portions
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Device, DeviceFilter, Page
from armillary.errors import InvalidArgumentError
from armillary.wire.text.device_name import ID_DIGITS, MAX_KEY_CHARACTERS

# Devices that match, of which a list is sorted: a page of it costs tens of milliseconds.
MAX_SORTED: Final = 10_000
# Health, the gravest first: every word of ``rows.HEALTHS``.
GRAVITY: Final = (
    "held", "quarantined", "refused", "revoked", "update-only",
    "silent", "never", "simulated", "unattested", "attested",
)  # fmt: skip
# Later than any time: what never was comes last.
_NEVER: Final = 2**62

_device, _status, _name = schema.device, schema.device_status, schema.device_name
_product, _group = schema.product, schema.device_group


def _shown_name() -> ColumnElement[Any]:
    """The name that lists show (``wire/text/device_name.default_name``)."""
    product = case((_product.c.name.like(".%"), None), else_=_product.c.name)
    kind = func.coalesce(product, _device.c.chip_sku)
    default = kind + " " + func.substr(_device.c.device_id, 1, ID_DIGITS)
    return _text(func.coalesce(_name.c.name, default))


def _text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.substr(func.lower(func.coalesce(column, "")), 1, MAX_KEY_CHARACTERS)


def _gravity(now: int, silent_after_s: int) -> ColumnElement[Any]:
    health = health_word(now, silent_after_s)
    ranks = [(health == word, literal(rank, BigInteger)) for rank, word in enumerate(GRAVITY)]
    return case(*ranks, else_=literal(len(GRAVITY), BigInteger))


# Word of an order -> its column, and whether it holds text or a number.
_ORDERS: Final[Mapping[str, tuple[Callable[[int, int], ColumnElement[Any]], type]]] = MappingProxyType(
    {
        "name": (lambda _now, _silent: _shown_name(), str),
        "health": (_gravity, int),
        "last_check_in_at": (lambda _now, _silent: func.coalesce(_status.c.checked_in_at, _NEVER), int),
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
    if order.removeprefix("-") not in ORDERS:
        raise InvalidArgumentError(
            f"sort: expected {', '.join(ORDERS)}, or one of them with - before it, got {order!a:.40}",
            remedy="Use one of these words.",
        )


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
    value, falls = column_of(now, silent_after_s).label("value"), order.startswith("-")
    # The tables of a device without its columns.
    query = devices_query(now, silent_after_s).where(*conditions).with_only_columns(_device.c.number, value)
    few = query.with_only_columns(_device.c.number).limit(MAX_SORTED + 1).subquery()
    if connection.execute(select(func.count()).select_from(few)).scalar_one() > MAX_SORTED:
        raise InvalidArgumentError(
            f"sort: expected at most {MAX_SORTED:,} devices that match, got more",
            remedy="Narrow the list by a filter, or take it in its own order.",
        )
    column: ColumnElement[Any] = value.element
    if after is not None:
        last, number = _cursor(after, kind)
        beyond = column < last if falls else column > last
        query = query.where(or_(beyond, and_(column == last, _device.c.number > number)))
    ordered = query.order_by(column.desc() if falls else column, _device.c.number).limit(limit + 1)
    rows = connection.execute(ordered).all()
    cursor = None
    if len(rows) > limit:
        cursor = json.dumps([rows[limit - 1].value, rows[limit - 1].number], ensure_ascii=False)
    return Page(_devices(connection, [row.number for row in rows[:limit]], now, silent_after_s), cursor, is_cut)


def _devices(connection: Connection, numbers: Sequence[int], now: int, silent_after_s: int) -> tuple[Device, ...]:
    """The devices of row numbers, in their order."""
    found: dict[int, Device] = {}
    for some in portions(numbers):
        query = devices_query(now, silent_after_s).where(_device.c.number.in_(some))
        found |= {row.number: as_device(row) for row in connection.execute(query)}
    return tuple(found[each] for each in numbers)


def _cursor(after: str, kind: type) -> tuple[Any, int]:
    try:
        value, number = json.loads(after)
        is_ours = type(value) is kind and type(number) is int and b"\0" not in str(value).encode()
    except (ValueError, TypeError, RecursionError):
        is_ours = False
    if not is_ours or any(isinstance(each, int) and not 0 <= each < 2**63 for each in (value, number)):
        raise InvalidArgumentError("after: expected `next` of the page before", remedy="Pass it as it came.")
    return value, number
