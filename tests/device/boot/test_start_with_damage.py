# SPDX-License-Identifier: Apache-2.0
"""Whatever is damaged of what a device keeps beside its trust and its images: it starts, checks in, and says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.device.rig import FAST, Rig
from tests.device.state.test_certificate_store import with_unreadable_name
from tests.device.wifi.test_wifi import RecordedRadio, added
from tests.fixtures.waiting import until

from armillary.device.boot.provision import boot_region
from armillary.device.boot.startup import chip_profile, load_minimums
from armillary.device.install.installer import RECORD_REGIONS
from armillary.device.process import Device
from armillary.device.settings import DeviceSettings
from armillary.device.state import certificate_store, network_configuration, wifi_configuration
from armillary.device.wifi.wifi import Wifi
from armillary.engines.flash.file import FileFlash
from armillary.engines.root_of_trust.software import SoftwareRootOfTrust
from armillary.errors import BootRefusedError, DataFolderError
from armillary.wire.encoding import cbor

pytestmark = pytest.mark.anyio

LINEAGE = "device/lineage"
WITH_RADIO: DeviceSettings = replace(FAST, radio=RecordedRadio)


async def checked_in(rig: Rig, settings: DeviceSettings = WITH_RADIO) -> list[str]:
    """Start the device and have it check in; what it reports, once all of it has arrived."""
    await rig.start(settings)
    await until(lambda: rig.status().get("last_check_in"), "the device checks in")
    assert rig.status()["last_check_in"].get("verdict") == "attested", rig.status()["last_check_in"]
    await until(lambda: not rig.status()["error_reports_waiting"], "its reports have arrived")
    return [one.description for request, _ in rig.service.checks for one in request.error_reports]


async def test_a_certificate_that_nobody_can_read_costs_its_network_alone(rig: Rig) -> None:
    flash = FileFlash(rig.folder / "flash")
    kept = {"odd": ["client", with_unreadable_name().encode(), b"key"]}
    flash.write(certificate_store.REGION, cbor.encode({1: 1, 2: kept}))
    added(flash, ssid="work", securityState="eaptls", clientCertStoreIdentifier="odd")
    added(flash, ssid="cafe")
    radio = RecordedRadio()
    await checked_in(rig, replace(FAST, radio=lambda: radio))
    assert [each.ssid for each in radio.networks] == ["cafe"]
    assert [each["reason"] for each in rig.events("wifi-certificate-lost")] == [
        "not joined: certificate 'odd' of the store cannot be read"
    ]


@pytest.mark.parametrize(
    "region",
    [
        "device/capability", "device/certificates", "device/crash-dumps", "device/developers", "device/hub",
        "device/lineage", "device/network", "device/reports", "device/time", "device/update-heard", "device/wifi",
    ],
)  # fmt: skip
async def test_a_damaged_region_keeps_no_device_from_its_service(rig: Rig, region: str) -> None:
    flash = FileFlash(rig.folder / "flash")
    added(flash, ssid="work", securityState="eaptls", clientCertStoreIdentifier="own")
    flash.write(region, b"\xff\x00noise")
    said = await checked_in(rig)
    told = {
        network_configuration.REGION: f"the device started without what it keeps of network: flash region {region}",
        wifi_configuration.REGION: f"the device started without what it keeps of Wi-Fi networks: flash region {region}",
        "device/reports": "The queue was lost",
    }
    if region in told:
        assert any(one.startswith(told[region]) for one in said), said
    assert len(rig.events("started-without")) == (region in told and region != "device/reports")


@pytest.mark.parametrize("found", [b"\xff\x00noise", b"", cbor.encode([1]), cbor.encode({1: 1 << 40})])
@pytest.mark.parametrize("kept", [1, 0, None])
async def test_damaged_minimums_are_made_anew_of_what_the_root_of_trust_keeps(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, kept: int | None, found: bytes
) -> None:
    """As a TPM does, which keeps versions that are all 0, too. Where nothing else keeps them nobody knows what may boot, and the device does not start."""
    flash = FileFlash(rig.folder / "flash")
    minimums = dict.fromkeys((component.image_type for component in chip_profile("mt3620").boot_components), 1)
    monkeypatch.setattr(SoftwareRootOfTrust, "minimums", lambda _: {None: None, 0: {}, 1: minimums}[kept])
    flash.write("device/minimums", found)
    if kept is None:
        with pytest.raises(DataFolderError, match="flash region device/minimums is damaged"):
            await Device(rig.folder, settings=FAST, sandbox=rig.sandbox).prove_once()
        assert flash.read("device/minimums") == found
        return
    [said] = await checked_in(rig)
    told = (
        "the device started without what it keeps of lowest security versions: flash region device/minimums is damaged"
    )
    assert said.startswith(told)
    assert len(rig.events("started-without")) == 1
    assert load_minimums(flash) == minimums
    await rig.stop()
    await checked_in(rig)
    assert len(rig.events("started-without")) == 1, "it was made anew"


async def test_a_last_time_that_no_clock_shows_is_damage(rig: Rig) -> None:
    FileFlash(rig.folder / "flash").write("device/time", b"\xff" * 8)
    assert await checked_in(rig) == []


async def test_whatever_goes_wrong_with_the_radio_the_device_starts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_wifi: Wifi) -> None:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr(Wifi, "apply", fail)
    said = await checked_in(rig)
    assert said == ["the device started without what it keeps of Wi-Fi: ZeroDivisionError: nobody thought of it"]
    await rig.stop()
    monkeypatch.undo()
    said = await checked_in(rig)
    assert len(said) == 1, "the next boot begins anew"


@pytest.fixture
def bad(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Regions whose sectors cannot be read until they are written again."""
    found: set[str] = set()
    read, write, rename = FileFlash.read, FileFlash.write, FileFlash.rename

    def failing_read(flash: FileFlash, region: str) -> bytes | None:
        if region in found:
            raise DataFolderError(f"{region}: Input/output error")
        return read(flash, region)

    def mending_write(flash: FileFlash, region: str, data: bytes) -> None:
        found.discard(region)
        write(flash, region, data)

    def mending_rename(flash: FileFlash, source: str, target: str) -> None:
        found.discard(target)
        rename(flash, source, target)

    for name, method in (("read", failing_read), ("write", mending_write), ("rename", mending_rename)):
        monkeypatch.setattr(FileFlash, name, method)
    return found


@pytest.mark.parametrize(
    "region",
    [
        "device/capability", "device/certificates", "device/crash-dumps", "device/developers", "device/hub",
        "device/manufacturing-state", "device/network", "device/reports", "device/time",
        "device/update-heard", "device/wifi", "repository/directive-version",
    ],
)  # fmt: skip
async def test_a_region_that_cannot_be_read_keeps_no_device_from_its_service(
    rig: Rig, bad: set[str], region: str
) -> None:
    bad.add(region)
    said = await checked_in(rig)
    told = {"device/network": "network", "device/wifi": "Wi-Fi networks", "device/reports": "The queue was lost"}
    assert any(told[region] in one and "Input/output error" in one for one in said) if region in told else said == []


@pytest.mark.parametrize(("fails", "delayed"), [(1, 1), (2, 2), (9, 2)])
async def test_a_lineage_that_cannot_be_read_once_delays_a_check_in_and_is_shown_then(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, fails: int, delayed: int
) -> None:
    """Who shows none is held for a clone; where it is lost for good, that is the way back to its service."""
    await checked_in(rig)
    await rig.stop()
    read, left = FileFlash.read, [fails]

    def failing_read(flash: FileFlash, region: str) -> bytes | None:
        if region == LINEAGE and left[0]:
            left[0] -= 1
            raise DataFolderError(f"{region}: Input/output error")
        return read(flash, region)

    known = read(FileFlash(rig.folder / "flash"), LINEAGE)
    assert known
    monkeypatch.setattr(FileFlash, "read", failing_read)
    checks = len(rig.service.checks)
    await rig.start(WITH_RADIO)
    await until(lambda: len(rig.service.checks) > checks, "it checks in")
    request, _ = rig.service.checks[checks]
    assert len(rig.events("check-in-failed")) == delayed
    assert request.lineage == (known if fails == delayed else b"")


@pytest.mark.parametrize("copy", RECORD_REGIONS)
async def test_one_copy_of_the_install_record_is_enough_and_a_package_that_cannot_be_read_comes_again(
    rig: Rig, bad: set[str], copy: str
) -> None:
    rig.service.deploy(rig.service.application())
    await rig.start(WITH_RADIO)
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "its application runs")
    await rig.stop()
    flash = FileFlash(rig.folder / "flash")
    bad |= {copy, *flash.regions("applications/")}
    checks = len(rig.service.checks)
    await rig.start(WITH_RADIO)
    await until(lambda: len(rig.service.checks) > checks and rig.sandbox.alive == ["app1"], "it is brought again")
    assert not bad


async def test_an_os_that_cannot_be_read_is_a_refused_boot_and_not_the_end_of_the_device(
    rig: Rig, bad: set[str]
) -> None:
    bad.add(boot_region("root-fs"))
    await rig.start(WITH_RADIO)
    assert rig.task is not None
    with pytest.raises(BootRefusedError):
        await rig.task
    rig.task = None
    assert rig.status()["state"] == "boot-refused"


@pytest.mark.parametrize("name", ["owner", "device.jsonl", "events.jsonl"])
async def test_a_damaged_log_ends_no_device(rig: Rig, name: str) -> None:
    (rig.folder / "log").mkdir(exist_ok=True)
    (rig.folder / "log" / name).write_bytes(b"\xff\x00noise\n[[[")
    await checked_in(rig)
    checks = len(rig.service.checks)
    assert rig.device is not None
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks, "it checks in again")
