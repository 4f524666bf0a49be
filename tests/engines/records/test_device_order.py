# SPDX-License-Identifier: Apache-2.0
"""Devices in the order of a column: over all pages, each once, both ways, and not of more than are sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from armillary.engines.records import device_order, ordered
from armillary.engines.records.queries import devices as device_rows, names as name_rows
from armillary.engines.records.schema.rows import HEALTHS, Device, DeviceFilter, Page
from armillary.engines.records.store import Records
from armillary.errors import InvalidArgumentError

NOW = 1_800_000_000
DEVICES = 23
EVERY = DeviceFilter()
# Word of an order -> what of a device is compared.
COMPARED: dict[str, Callable[[Device], object]] = {
    "name": lambda device: device.name.lower(),
    "health": lambda device: device_order.GRAVITY.index(device.health),
    "last_check_in_at": lambda device: device.last_check_in_at or ordered.NEVER,
    "group": lambda device: device.group or "",
    "os_version": lambda device: device.os_version,
    "trust_tier": lambda device: device.trust_tier,
    "chip": lambda device: device.chip_sku.lower(),
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    opened = Records.open(tmp_path_factory.mktemp("order") / "records.db", fresh=True)
    for at in range(DEVICES):
        device_id = f"{at * 37 % 251:02x}" * 64
        number = opened.write(
            lambda c, device_id=device_id, at=at: device_rows.enrol(
                c,
                device_id=device_id,
                chip="mt3620",
                chip_sku=("MT3620AN", "imx8mp", "RP2350")[at % 3],
                trust_tier=("software", "tpm")[at % 2],
                manufacturing_state="DeviceComplete",
                now=NOW,
            )
        )
        if at % 4 == 0:
            opened.write(lambda c, i=device_id, at=at: name_rows.put(c, i, None, f'Ünit {at % 3} "x"'))
        if at % 3:
            seen = {"s": NOW - at % 5 * 40, "v": f"26.{at % 4:02d}", "n": number}
            change = (
                "UPDATE device_status SET checked_in_at=:s, os_version=:v, verdict='attested' WHERE device_number=:n"
            )
            opened.write(lambda c, change=change, seen=seen: c.execute(text(change), seen))
    yield opened
    opened.close()


def asked(records: Records, order: str, limit: int, after: str | None, chosen: DeviceFilter = EVERY) -> Page[Device]:
    return records.read(
        lambda c: device_order.page(c, chosen, order, limit=limit, after=after, now=NOW, silent_after_s=100)
    )


def walked(records: Records, order: str, chosen: DeviceFilter = EVERY) -> list[Device]:
    found: list[Device] = []
    after = None
    while True:
        page = asked(records, order, 4, after, chosen)
        found += page.items
        after = page.next_cursor
        if after is None:
            return found
        assert len(after) <= 200  # as the API takes it


def test_every_health_has_its_place() -> None:
    assert set(device_order.GRAVITY) == set(HEALTHS)


def test_every_order_is_compared() -> None:
    assert set(COMPARED) == set(device_order.ORDERS)


@pytest.mark.parametrize("order", device_order.ORDERS)
def test_each_device_comes_once_in_order_over_all_pages(records: Records, order: str) -> None:
    rising = walked(records, order)
    assert len({each.device_id for each in rising}) == len(rising) == DEVICES
    values = [COMPARED[order](each) for each in rising]
    assert values == sorted(values)  # type: ignore[type-var]
    falling = [COMPARED[order](each) for each in walked(records, f"-{order}")]
    assert falling == values[::-1]


def test_a_filter_and_a_search_hold_over_all_pages(records: Records) -> None:
    named = walked(records, "-name", DeviceFilter(search="ünit"))
    assert [each.name for each in named] == sorted((each.name for each in named), reverse=True)
    assert len(named) == len(range(0, DEVICES, 4))
    assert {each.chip_sku for each in walked(records, "health", DeviceFilter(health="never"))} == {"MT3620AN"}


def test_more_than_are_sorted_is_one_error_that_says_what_to_do(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_order, "MAX_SORTED", DEVICES - 1)
    with pytest.raises(InvalidArgumentError, match=f"at most {DEVICES - 1} devices that match") as caught:
        asked(records, "name", 4, None)
    assert "filter" in caught.value.remedy
    assert asked(records, "name", 4, None, DeviceFilter(trust_tier="tpm")).items


@pytest.mark.parametrize(
    "after",
    ["", "1", "[]", '["a"]', '["a", 1, 2]', '["a", "b"]', "[1, 2]", '["a", true]', '["a", -1]', f'["a", {2**63}]',
     '["\\u0000", 1]', '["\\ud800", 1]', "[" * 200, '{"a": 1, "b": 2}', "NaN"],
)  # fmt: skip
def test_a_cursor_that_is_none_is_one_error(records: Records, after: str) -> None:
    with pytest.raises(InvalidArgumentError, match="after: expected `next` of the page before"):
        asked(records, "name", 4, after)


def test_a_number_is_no_cursor_of_an_order_of_text(records: Records) -> None:
    by_time = asked(records, "last_check_in_at", 4, None).next_cursor
    assert by_time is not None
    with pytest.raises(InvalidArgumentError):
        asked(records, "os_version", 4, by_time)
    with pytest.raises(InvalidArgumentError):
        asked(records, "health", 4, f"[{2**63}, 1]")


def test_a_word_that_is_no_order_is_refused() -> None:
    device_order.check_order("-name")
    with pytest.raises(InvalidArgumentError, match="sort: expected name, health"):
        device_order.check_order("installed")
