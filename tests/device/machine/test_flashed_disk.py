# SPDX-License-Identifier: Apache-2.0
"""A machine enrols with the OS that is on its disk: which release that is, is known before its token is spent.

The service is a real one, reached over TLS; the disk's partitions are files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.api.running_service import RunningService, own_service
from tests.fixtures.boot_partitions import boot_partition, pe_program
from tests.fixtures.os_packages import os_packages

from armillary.device.boot import provision
from armillary.device.machine import enrolling
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.records.schema.rows import OsRelease
from armillary.engines.root_of_trust import tpm2
from armillary.errors import DataFolderError, OperatorError, RootOfTrustError, ServiceUnreachableError
from armillary.service.verifier import release_drafts
from armillary.update.install.component import SLOTS, os_region
from armillary.wire.image import package as image_package

CHIP = "gateway-x86-64"
STARTED, ROOT = "unified-kernel-image", "root-fs"
ROOM = 1 << 20
service = own_service()


def image(word: bytes) -> dict[str, bytes]:
    """The payloads of an OS, as long as those of every other: whole blocks, and zeros at the end of the last one."""
    started = boot_partition(pe_program(text=word.ljust(16, b"."))).ljust(5000, b"\0") + b"end"
    return {STARTED: started.ljust(8192, b"\0"), ROOT: (b"a file system of " + word * 1000).ljust(4096, b"\0")}


OLD, NEW = image(b"old"), image(b"new")


@dataclass
class Machine:
    """A new machine, its disk, and a token for one device."""

    service: RunningService
    folder: DeviceFolder
    disk: OsDisk
    told: Mapping[str, str]
    catalog: str

    def flash(self, payloads: Mapping[str, bytes]) -> None:
        for region, node in self.disk.nodes.items():
            node.write_bytes(payloads[region.split("/")[-1]].ljust(ROOM, b"\0"))

    def slots(self) -> dict[str, bytes]:
        return {region: node.read_bytes() for region, node in self.disk.nodes.items()}

    def enrol(self) -> str:
        """Become a device; its OS's version."""
        enrolling.enrol(self.folder, self.told, self.disk)
        assert self.folder.is_finished()
        return load_configuration(FileFlash(self.folder.flash)).os_version

    def spent(self) -> int:
        return sum(each.used for each in self.service.service.enrolments.list(self.catalog))

    def refused(self, *named: str) -> DataFolderError:
        """It is refused with these words, and nothing has happened: not here, and not at the service."""
        before = self.slots()
        with pytest.raises(DataFolderError) as refused:
            enrolling.enrol(self.folder, self.told, self.disk)
        for word in named:
            assert word in refused.value.message
        assert self.slots() == before
        assert not self.folder.root.exists()
        assert self.spent() == 0
        assert self.service.call("GET", f"/api/v1/devices?catalog={self.catalog}").body["items"] == []
        return refused.value


@pytest.fixture
def machine(service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(enrolling, "CHIPS", dict.fromkeys(enrolling.CHIPS, CHIP))
    catalog = service.make_catalog(f"C-{tmp_path.name[-20:]}".replace("_", "-"), product="Coffee")
    for release in service.service.releases.list(chip=CHIP):
        if release.withdrawn_at is None:
            service.service.releases.withdraw(release.release_id, "of an earlier test", actor="t")
    made = service.service.enrolments.create(catalog, product="Coffee", group="Production", actor="t")
    nodes = {os_region(name, slot): tmp_path / f"{name}-{slot}" for name in (STARTED, ROOT) for slot in SLOTS}
    told = {"service": service.address, "token": made.secret, "ca": service.root.read_text("ascii"), "chip": CHIP}
    checked = enrolling.parse_enrolment(json.dumps({**told, "root_of_trust": "software"}).encode())
    return Machine(
        service, DeviceFolder(tmp_path / "device"), OsDisk(nodes, EfiBootSlots({}), STARTED), checked, catalog
    )


def released(service: RunningService, payloads: Mapping[str, bytes]) -> OsRelease:
    """A release of these payloads, in force for everybody."""
    drafts = service.service.attestation.drafts
    version = f"27.{len(service.service.releases.list(chip=CHIP, drafts=True))}"
    packages = os_packages(service.service.chips.get(CHIP), payloads)
    draft = drafts.create(CHIP, version, packages=packages, feed="Retail", actor="t")
    drafts.sign(draft.release_id, actor="t")
    return drafts.publish(draft.release_id, actor="t")


def test_a_machine_with_the_newest_release_is_of_it(service: RunningService, machine: Machine) -> None:
    released(service, OLD)
    newest = released(service, NEW)
    machine.flash(NEW)
    assert machine.enrol() == newest.version
    flash, packages = machine.disk.flash(FileFlash(machine.folder.flash)), service.service.releases.packages(newest)
    for slot in SLOTS:
        assert {name: flash.read(os_region(name, slot)) for name in packages} == packages
    assert machine.spent() == 1


def test_a_machine_with_an_older_release_that_is_good_is_of_that_one(service: RunningService, machine: Machine) -> None:
    """What is newer comes as an update."""
    older = released(service, OLD)
    newer = released(service, NEW)
    machine.flash(OLD)
    assert machine.enrol() == older.version
    flash, packages = machine.disk.flash(FileFlash(machine.folder.flash)), service.service.releases.packages(older)
    assert {name: flash.read(os_region(name, "a")) for name in packages} == packages
    assert machine.spent() == 1
    assert service.service.releases.newest(CHIP) == newer


def test_of_two_releases_of_one_image_it_is_the_newer(service: RunningService, machine: Machine) -> None:
    released(service, OLD)
    again = released(service, OLD)
    machine.flash(OLD)
    assert machine.enrol() == again.version


@pytest.mark.parametrize("which", [OLD, NEW], ids=["a stranger's", "one that was withdrawn"])
def test_a_machine_with_an_os_that_is_no_release_is_refused_and_its_token_stays(
    service: RunningService, machine: Machine, which: Mapping[str, bytes]
) -> None:
    withdrawn, other = released(service, NEW), released(service, image(b"two"))
    service.service.releases.withdraw(withdrawn.release_id, "it was bad", actor="t")
    machine.flash(which)
    error = machine.refused(f"{other.version} ({STARTED}: another)")
    assert withdrawn.version not in error.message
    assert "armillary image package" in error.remedy
    fit = released(service, which)
    assert machine.enrol() == fit.version, "the control: the same token, once its OS is a release"
    assert machine.spent() == 1


def test_where_nothing_is_in_force_that_is_said(machine: Machine) -> None:
    machine.flash(OLD)
    machine.refused("there is none in force")


def test_the_newest_releases_are_named_and_the_others_are_counted(service: RunningService, machine: Machine) -> None:
    versions = [released(service, image(b"%03d" % number)).version for number in range(7)]
    machine.flash(OLD)
    error = machine.refused(*versions[2:], "2 older ones")
    assert not any(f" {version} " in error.message for version in versions[:2])


def cut(payloads: Mapping[str, bytes], **sizes: int) -> dict[str, bytes]:
    return {name: payloads[name][: sizes.get(name.replace("-", "_"))] for name in payloads}


ATTACKS = {
    "a truncated file of the firmware": cut(NEW, unified_kernel_image=4096),
    "a file of the firmware without its last zeros": cut(NEW, unified_kernel_image=8192 - 512),
    "a root without its last zeros": cut(NEW, root_fs=4096 - 512),
    "a root without its last word": cut(NEW, root_fs=4096 - 4),
    "a truncated root": cut(NEW, root_fs=1000),
    "an empty root": cut(NEW, root_fs=0),
    "both, as a full disk leaves them": cut(NEW, unified_kernel_image=2048, root_fs=0),
    "more than there is": {**NEW, ROOT: NEW[ROOT] + b"more"},
    "more zeros than there is room for": {**NEW, ROOT: NEW[ROOT] + bytes(ROOM)},
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_release_that_is_only_the_beginning_of_what_is_in_the_slots_touches_nothing(
    service: RunningService, machine: Machine, monkeypatch: pytest.MonkeyPatch, attack: Mapping[str, bytes]
) -> None:
    """Its metadata would go into the middle of what the machine starts, and it would not start again."""
    machine.flash(NEW)
    with monkeypatch.context() as before_it_was_checked:
        before_it_was_checked.setattr(release_drafts, "_check_payload", lambda *_: None)
        broken = released(service, attack)
    machine.refused(broken.version)
    older = released(service, NEW)
    with monkeypatch.context() as before_it_was_checked:
        before_it_was_checked.setattr(release_drafts, "_check_payload", lambda *_: None)
        released(service, attack)
    assert machine.enrol() == older.version, "the control: the whole release, though a broken one is newer"


def test_a_service_that_gives_another_release_than_was_named_touches_nothing(
    service: RunningService, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lists is good, what it gives is the beginning of it."""
    good = released(service, NEW)
    other = released(service, cut(NEW, root_fs=1000))
    machine.flash(NEW)
    before, newest = machine.slots(), service.service.releases.newest
    with monkeypatch.context() as patched:
        patched.setattr(service.service.releases, "newest", lambda chip, **_: newest(chip, version=other.version))
        with pytest.raises(
            DataFolderError, match=f"{ROOT}: expected the OS {other.version} of the factory on the disk"
        ):
            machine.enrol()
    assert machine.slots() == before
    assert machine.enrol() == good.version, "the control"


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"releases": []},
        {"releases": [{}], "trusted_os_certificates": []},
        {"releases": [], "trusted_os_certificates": ["x"]},
        {"releases": [{"os_version": "1", "boot_components": []}], "trusted_os_certificates": []},
        {
            "releases": [{"os_version": "1", "boot_components": [{"name": ROOT, "package": "!", "payload_bytes": 1}]}],
            "trusted_os_certificates": [],
        },
        {
            "releases": [
                {"os_version": "1", "boot_components": [{"name": ROOT, "package": "", "payload_bytes": float("inf")}]}
            ],
            "trusted_os_certificates": [],
        },
    ],
)
def test_an_answer_that_is_none_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    machine.flash(OLD)
    monkeypatch.setattr(enrolling._Factory, "get", lambda *_: answer)
    with pytest.raises(ServiceUnreachableError, match="list of releases lacks or spoils a field"):
        machine.enrol()
    assert not machine.folder.root.exists()


@pytest.mark.parametrize(
    ("name", "size", "named"),
    [("one-bl", 1, "no slot for it"), (ROOT, -1, "an empty payload"), (ROOT, 1 << 80, "another")],
)
def test_a_release_of_another_shape_does_not_fit(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str, size: int, named: str
) -> None:
    machine.flash(OLD)
    component = {"name": name, "package": "AAAA", "payload_bytes": size}
    answer = {"releases": [{"os_version": "1", "boot_components": [component]}], "trusted_os_certificates": []}
    monkeypatch.setattr(enrolling._Factory, "get", lambda *_: answer)
    machine.refused(f"1 ({name}: ", named)


def test_a_spent_token_is_refused_by_the_service(service: RunningService, machine: Machine, tmp_path: Path) -> None:
    released(service, OLD)
    machine.flash(OLD)
    machine.enrol()
    machine.folder = DeviceFolder(tmp_path / "another")
    machine.flash(OLD)
    with pytest.raises(OperatorError, match="used 1 of 1 times"):
        machine.enrol()


def test_the_list_has_no_payloads_and_is_for_those_who_may_make_devices(
    service: RunningService, machine: Machine
) -> None:
    made = released(service, OLD)
    place = f"/api/v1/factory/releases?chip={CHIP}"
    listed = service.call("GET", place, token=machine.told["token"])
    (only,) = listed.body["releases"]
    assert only["os_version"] == made.version
    sizes = {each["name"]: each["payload_bytes"] for each in only["boot_components"]}
    packages = service.service.releases.packages(made)
    assert sizes == {name: image_package.parse(package).payload_bytes for name, package in packages.items()}
    assert len(listed.raw) < 8192
    assert service.call("GET", place, token=service.token_of("Reader")).status == 403
    assert service.call("GET", place, token=None).status == 401
    assert service.call("GET", "/api/v1/factory/releases?chip=z80").status == 404
    assert service.call("GET", "/api/v1/factory/releases").status == 400


@pytest.mark.parametrize("has_keys", [False, True])
def test_a_machine_that_is_told_something_else_after_a_failure_begins_anew(
    service: RunningService, machine: Machine, monkeypatch: pytest.MonkeyPatch, has_keys: bool
) -> None:
    """Nobody can choose another folder on a machine: it would be no device for ever."""
    released(service, NEW)
    machine.flash(NEW)
    given_up: list[str] = []
    wanted = machine.told
    machine.told = {**wanted, "root_of_trust": "tpm2"}
    monkeypatch.setattr(tpm2, "DEFAULT_TPM", "device:/dev/none")
    for _ in range(2):  # the same again is continued, and fails again
        with pytest.raises(RootOfTrustError):
            machine.enrol()
    begun = machine.folder.begun_with()
    assert begun is not None
    assert begun["root_of_trust"] == "tpm2"
    (machine.folder.root / "left").write_bytes(b"of the other creation")
    if has_keys:
        opened = SimpleNamespace(kind="tpm2", give_up=lambda: given_up.append("given up"))
        monkeypatch.setattr(
            provision, "open_root_of_trust", lambda engine, _folder: opened if engine == "tpm2" else None
        )
    machine.told = wanted
    machine.enrol()
    assert machine.folder.begun_with() is None
    assert not (machine.folder.root / "left").exists()
    assert given_up == has_keys * ["given up"]
    assert machine.spent() == 1
