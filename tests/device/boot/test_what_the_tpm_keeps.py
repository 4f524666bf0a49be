# SPDX-License-Identifier: Apache-2.0
"""No file of the disk leads the OS to delete, replace or not read what the TPM keeps of a device. With swtpm.

Who has the disk writes what a machine is told (``enrolment.json``, so the service, which answers as he likes), what an
enrolment that was cut short has left (``creation.json``, with which options) and ``tpm.json``. He has the file of the
device itself and those of all that he made on the machine. What was considered:

===================  ===================================================================================================
index of the TPM     what leads there
===================  ===================================================================================================
counter              ``counter`` of a file, which has to be an index for counters, to count, and to say that it is of
                     the file's identity key; one of before owners were noted is of who opened it first
minimums, trust      the counter's place, nothing else; neither place is one for a counter
others, such as the  none: no place of theirs is one for a counter
maker's certificate
===================  ===================================================================================================

===================  ===================================================================================================
field of tpm.json    changed
===================  ===================================================================================================
version              the file is refused
tpm                  that TPM has not the device's keys: it proves nothing, and what this one keeps is untouched
counter              see above
minimums             left out: they are read as ever, and made by nobody but a device whose counter has no owner yet
identity             another's: the counter is not of that key. The device's public key with a private one that is none:
                     what it leads to is as with the file itself, the device's
attestation          it is not asked for what is deleted or read
===================  ===================================================================================================

Ways to ``give_up``: an enrolment with other options than those that one which was cut short has noted, and a service
that refuses. Both come to the device's own indices by the device's own file; so nothing is deleted of what ever
started. ``create`` takes an index that is free, and deletes only what lies behind a counter that is gone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.engines.swtpm import SwTpm, needs_tpm, software_tpm

from armillary.device.boot.provision import provision
from armillary.device.boot.trust_guard import TrustGuard
from armillary.device.state import configuration
from armillary.device.state.layout import CREATION, DeviceFolder
from armillary.device.state.permission import begin_state
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import replace_region
from armillary.engines.root_of_trust import tpm_commands
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust
from armillary.engines.root_of_trust.tpm_memory import INDICES, bytes_of, trust_of
from armillary.errors import ArmillaryError, DataFolderError, OperatorError, ServiceUnreachableError
from armillary.identity.manufacturing import ManufacturingState

pytestmark = needs_tpm

MINIMUMS = {10: 7}


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwTpm]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as running:
        yield running


@dataclass(frozen=True)
class Machine:
    """A device that has started, with what it trusts and the lowest versions that it boots; and its TPM."""

    folder: DeviceFolder
    tpm: str
    file: Mapping[str, Any]

    @property
    def counter(self) -> int:
        return int(self.file["counter"])

    def kept(self) -> list[bytes]:
        """What the TPM keeps of the device."""
        with tpm_commands.connect(self.tpm) as commands:
            nv = commands.nv
            return [nv.read(self.counter), nv.read(bytes_of(self.counter)), nv.read(trust_of(self.counter))]

    def guard(self) -> None:
        """Raise DataFolderError unless whom the disk says that it trusts is whom the TPM keeps."""
        TrustGuard().begin(FileFlash(self.folder.flash), Tpm2RootOfTrust.open(self.folder.root_of_trust).trust)


@pytest.fixture
def machine(tpm: SwTpm, tmp_path: Path) -> Machine:
    folder = DeviceFolder(tmp_path / "device")
    folder.root.mkdir()
    root = Tpm2RootOfTrust.create(folder.root_of_trust, tpm=tpm.tcti)
    files = FileFlash(folder.flash)
    replace_region(files, configuration.REGION, b"signers: the maker's")
    begin_state(files, ManufacturingState.DEVICE_COMPLETE)
    made = Machine(folder, tpm.tcti, json.loads((folder.root_of_trust / "tpm.json").read_bytes()))
    made.guard()
    root.begin_boot([])
    root.keep_minimums(MINIMUMS)
    return made


def enrols(folder: DeviceFolder, tpm: str, *, refusal: ArmillaryError) -> None:
    """Be a machine that was told of a service of the attacker's; how it ends is his affair."""

    def answers(*_: object) -> Mapping[str, Any]:
        raise refusal

    with pytest.raises(ArmillaryError):
        provision(
            folder,
            chip="gateway-x86-64",
            root_of_trust="tpm2",
            sandbox="linux",
            operator_api="https://attacker",
            factory=answers,
            tpm=tpm,
            tpm_factory=answers,
            begins_anew=True,
        )


def options_of(folder: DeviceFolder, tpm: str) -> bytes:
    """What an enrolment notes that was cut short: its options."""
    enrols(folder, tpm, refusal=ServiceUnreachableError("it does not answer"))
    noted = (folder.root / CREATION).read_bytes()
    root = Tpm2RootOfTrust.open(folder.root_of_trust)
    root.give_up()
    shutil.rmtree(folder.root)
    return noted


FILES: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "the device's own": lambda mine, _: mine,
    "minimums as a counter": lambda mine, _: {**mine, "counter": mine["counter"] + INDICES},
    "trust as a counter": lambda mine, _: {**mine, "counter": mine["counter"] + 2 * INDICES},
    "another identity": lambda mine, other: {**other, "counter": mine["counter"]},
    "another identity, minimums as a counter": lambda mine, other: {**other, "counter": mine["counter"] + INDICES},
    "no private key": lambda mine, _: {**mine, "identity": {**mine["identity"], "private": "00"}},
    "another attestation key": lambda mine, other: {**mine, "attestation": other["attestation"]},
    "no word of minimums": lambda mine, _: {name: value for name, value in mine.items() if name != "minimums"},
    "another TPM": lambda mine, _: {**mine, "tpm": "swtpm:host=127.0.0.1,port=1"},
    "another version": lambda mine, _: {**mine, "version": 2},
}
REFUSED = OperatorError("the token is not valid")
WAYS = {
    "other options": ServiceUnreachableError("it does not answer"),
    "refused": REFUSED,
    "refused with the options": REFUSED,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("file", FILES)
def test_no_file_leads_to_what_the_tpm_keeps(machine: Machine, tmp_path: Path, file: str, way: str) -> None:
    """After it the device is as it was once its disk is put back, and trusts nobody else."""
    kept = machine.kept()
    other = Tpm2RootOfTrust.create(tmp_path / "other", tpm=machine.tpm)
    others = json.loads((tmp_path / "other" / "tpm.json").read_bytes())
    forged = DeviceFolder(tmp_path / "forged")
    noted = options_of(forged, machine.tpm) if way == "refused with the options" else b'{"root_of_trust": "tpm2"}'
    forged.root_of_trust.mkdir(parents=True, mode=0o700)
    (forged.root / CREATION).write_bytes(noted)
    path = forged.root_of_trust / "tpm.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(FILES[file](dict(machine.file), others)))
    enrols(forged, machine.tpm, refusal=WAYS[way])
    assert machine.kept() == kept
    # The disk is put back, with what the attacker would like: others who sign, and no minimums.
    document = {name: value for name, value in machine.file.items() if name != "minimums"}
    (machine.folder.root_of_trust / "tpm.json").write_text(json.dumps(document))
    again = Tpm2RootOfTrust.open(machine.folder.root_of_trust)
    assert (again.minimums(), again.boot_count) == (MINIMUMS, int.from_bytes(kept[0], "big"))
    machine.guard()
    replace_region(FileFlash(machine.folder.flash), configuration.REGION, b"signers: the attacker's")
    with pytest.raises(DataFolderError, match="changed from outside"):
        machine.guard()
    other.give_up()


def test_what_was_refused_before_it_was_a_device_leaves_nothing_in_the_tpm(tpm: SwTpm, tmp_path: Path) -> None:
    """The control: both ways give up what never started."""

    def counters() -> int:
        with tpm_commands.connect(tpm.tcti) as commands:
            return len(commands.nv.owners())

    folder, before = DeviceFolder(tmp_path / "machine"), counters()
    enrols(folder, tpm.tcti, refusal=REFUSED)
    assert counters() == before
    enrols(folder, tpm.tcti, refusal=ServiceUnreachableError("its answer is lost"))
    assert counters() == before + 1
    (folder.root / CREATION).write_text('{"root_of_trust": "tpm2", "chip": "another"}')
    enrols(folder, tpm.tcti, refusal=REFUSED)
    assert counters() == before


def test_a_machine_whose_disk_was_erased_is_enrolled_as_another_device(machine: Machine, tmp_path: Path) -> None:
    kept = machine.kept()
    erased = DeviceFolder(tmp_path / "erased")
    enrols(erased, machine.tpm, refusal=ServiceUnreachableError("its answer is lost"))
    newer = Tpm2RootOfTrust.open(erased.root_of_trust)
    assert newer.device_id != Tpm2RootOfTrust.open(machine.folder.root_of_trust).device_id
    assert (newer.minimums(), newer.trust.load()) == (None, b"")
    assert machine.kept() == kept
    newer.give_up()
