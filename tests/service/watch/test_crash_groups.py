# SPDX-License-Identifier: Apache-2.0
"""Crashes that devices report are counted once, in the group of their bug, over images and devices of a catalog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures import reports

from armillary.engines.records.crashes.groups import KEPT_CRASHES
from armillary.errors import ConflictError, NotFoundError, WireError
from armillary.service.watch import crash_groups, symbols as symbols_module
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.crash_record import CrashRecord, Frame
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.image import symbol_list
from armillary.wire.image.symbol_list import Function, SymbolList

COMPONENT = UUID(int=7)
BUILD = b"\x01" * 20
SYMBOLS = symbol_list.encode(
    SymbolList(BUILD, "arm64", (Function(0x1000, 0x40, "step"), Function(0x1040, 0x40, "main")))
)
SEGV = CrashRecord(signal=11, exit_code=None, frames=(Frame("app", b"", 12, "step"), Frame("app", b"", 99, "main")))
NAMELESS = CrashRecord(
    signal=11, exit_code=None, frames=(Frame("app", BUILD, 0x1010, ""), Frame("app", BUILD, 0x1050, ""))
)


def report(device: WireDevice, sequence: int, crash: CrashRecord | None = SEGV, **changes: Any) -> ErrorReport:
    told = {"sequence": sequence, "start": 1, "end": 2, "boot_count": device.prover.boot_count}
    told |= {"component_id": COMPONENT}
    return replace(reports.crash(**told, **changes), crash=crash)


def groups(host: ServiceHost, catalog: str = "Contoso") -> list[tuple[str, int, int]]:
    found = host.service.watch.crashes.list(catalog).items
    return sorted((f"{one.cause}:{'<'.join(one.places)}", one.count, one.devices) for one in found)


def told(host: ServiceHost, device: WireDevice, *error_reports: ErrorReport) -> None:
    device.update_status = UpdateStatus()
    device.check_in(error_reports=error_reports)
    host.service.watch.run_once()


def test_a_crash_is_counted_once_and_survives_a_release(host: ServiceHost, package: Callable[..., bytes]) -> None:
    image = host.service.updates.images.upload("Contoso", package(), actor="t")
    host.service.updates.deployments.create("Contoso", "Kettle", "Production", [image.image_id], actor="t")
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
        for each in (device, other):
            assert each.check_in().offer is not None
        first = report(device, 1, image_id=image.image_id, count=3)
        for _ in range(3):  # the reply was lost, so that the device tells it again
            told(host, device, first)
        assert groups(host) == [("SIGSEGV:step<main", 3, 1)]
        told(host, other, report(other, 1), report(other, 2, replace(SEGV, signal=6)))
        assert groups(host) == [("SIGABRT:step<main", 1, 1), ("SIGSEGV:step<main", 4, 2)]
        (found,) = (one for one in host.service.watch.crashes.list("Contoso").items if one.cause == "SIGSEGV")
        row, images = host.service.watch.crashes.get("Contoso", found.fingerprint)
        # the second device was never offered the image that it names: it says nothing about that image
        assert [(one.image_id, one.count) for one in images] == [(image.image_id, 3)]
        assert host.service.watch.crashes.list("Contoso", image_id=image.image_id).items == (row,)
        kept = host.service.watch.crashes.reports("Contoso", found.fingerprint, limit=1)
        assert [one.device_id for one in kept.items] == [other.device_id]
        rest = host.service.watch.crashes.reports("Contoso", found.fingerprint, after=kept.next_cursor)
        assert [one.count for one in rest.items] == [3]


def test_a_crash_of_which_nothing_was_captured_is_grouped_by_its_signal(host: ServiceHost) -> None:
    with host.claimed(b"a" * 32) as device:
        crashed = "AppCrash (exit_status=11; signal_status=11; signal_code=0; component_id=x; image_id=y)"
        ended = report(device, 2, None, event_type="AppExit", description="AppExit (exit_code=3; component_id=x)")
        odd = report(device, 3, None, description="?")
        told(host, device, report(device, 1, None, description=crashed), ended, odd)
        assert groups(host) == [("SIGSEGV:", 1, 1), ("exit 3:", 1, 1), ("unknown:", 1, 1)]


def test_symbols_that_come_later_name_the_places_and_join_groups(host: ServiceHost) -> None:
    watch = host.service.watch
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
        told(host, device, report(device, 1, NAMELESS), report(device, 2, SEGV))
        told(host, other, report(other, 1, NAMELESS, count=2))
        assert groups(host) == [("SIGSEGV:app+0x1000", 3, 2), ("SIGSEGV:step<main", 1, 1)]
        row = watch.symbols.put("Contoso", SYMBOLS, actor="t")
        assert (row.build_id, row.functions) == (BUILD.hex(), 2)
        assert watch.crashes.group_anew("Contoso") == 2
        assert watch.crashes.group_anew("Contoso") == 0
        assert groups(host) == [("SIGSEGV:step<main", 4, 2)]
        told(host, other, report(other, 2, NAMELESS))
        assert groups(host) == [("SIGSEGV:step<main", 5, 2)]
        watch.symbols.remove("Contoso", BUILD.hex(), actor="t")
        assert watch.symbols.list("Contoso") == ()
        with pytest.raises(NotFoundError):
            watch.symbols.remove("Contoso", BUILD.hex(), actor="t")


def test_what_was_captured_is_kept_of_some_reports_and_all_are_counted(host: ServiceHost) -> None:
    with host.claimed(b"a" * 32) as device:
        told(host, device, *(report(device, number) for number in range(1, 5)))
        told(host, device, *(report(device, number) for number in range(5, 10)))
        (found,) = host.service.watch.crashes.list("Contoso").items
        kept = host.service.watch.crashes.reports("Contoso", found.fingerprint).items
        assert found.count == len(kept) == 9
        assert sum(one.crash is not None for one in kept) == KEPT_CRASHES


def test_another_catalog_has_groups_and_symbols_of_its_own(host: ServiceHost) -> None:
    watch = host.service.watch
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    watch.symbols.put("Fabrikam", SYMBOLS, actor="t")
    with host.claimed(b"a" * 32) as device:
        told(host, device, report(device, 1, NAMELESS))
        assert groups(host) == [("SIGSEGV:app+0x1000", 1, 1)]
        assert groups(host, "Fabrikam") == []
        (found,) = watch.crashes.list("Contoso").items
        with pytest.raises(NotFoundError):
            watch.crashes.get("Fabrikam", found.fingerprint)
        with pytest.raises(NotFoundError):
            watch.crashes.reports("Fabrikam", found.fingerprint)
    host.service.registry.catalogs.delete("Fabrikam", actor="t")


def test_one_device_and_one_catalog_make_no_more_groups_than_they_may(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash_groups, "MAX_GROUPS_OF_DEVICE", 2)
    monkeypatch.setattr(crash_groups, "MAX_GROUPS", 4)

    def made_up(number: int) -> CrashRecord:
        return replace(SEGV, cause=f"made-up-{number}")

    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
        told(host, device, *(report(device, number, made_up(number)) for number in range(1, 6)))
        assert [count for _, count, _ in groups(host)] == [3, 1, 1]
        told(host, device, report(device, 9, made_up(1)))  # what is there already counts on
        told(host, other, *(report(other, number, made_up(10 + number)) for number in range(1, 4)))
        assert [count for _, count, _ in groups(host)] == [5, 1, 2, 1]  # first: beyond the limits; then the 11th


def test_symbols_are_read_strictly_and_bounded(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = host.service.watch.symbols
    with pytest.raises(WireError, match="line 3"):
        symbols.put("Contoso", SYMBOLS.replace(b"1040", b"1000"), actor="t")
    monkeypatch.setattr(symbols_module, "MAX_LISTS", 1)
    symbols.put("Contoso", SYMBOLS, actor="t")
    symbols.put("Contoso", SYMBOLS, actor="t")  # again: in its place
    with pytest.raises(ConflictError, match="1 builds"):
        symbols.put("Contoso", SYMBOLS.replace(b"01" * 20, b"02" * 20), actor="t")
    assert len(symbols.list("Contoso")) == 1
