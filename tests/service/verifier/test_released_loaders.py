# SPDX-License-Identifier: Apache-2.0
"""What the firmware measures of a published release is known by itself, until the release is withdrawn."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest
from tests.attest.test_firmware_reference import APPLICATION, BOOT, GOOD
from tests.fixtures.boot_partitions import boot_partition, pe_program
from tests.fixtures.clocks import Clock
from tests.fixtures.images import P256
from tests.service.tpm_wire_device import TpmWireDevice
from tests.wire.device_image.test_uboot_measurements import flattened, slot_file
from tests.wire.tpm_samples import tcg_event, tcg_header

from armillary.attest.firmware_reference import EVENT, FINAL, LOADER_PCR, measured, statable, to_json
from armillary.attest.reference import FOREVER
from armillary.attest.started_systems import StartedSystems
from armillary.boot import virtual_chain
from armillary.errors import WireError
from armillary.service.context.blobs import Blobs
from armillary.service.verifier.released_loaders import ReleasedLoaders
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.attestation import tcg_event_log
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS
from armillary.wire.device.checkin import CheckinReply
from armillary.wire.device_image.authenticode import authenticode_digest
from armillary.wire.device_image.uboot_measurements import slot_values
from armillary.wire.image import package as image_package

CHIP = "gateway-x86-64"
NEWER = pe_program(text=b"a newer kernel..")
OWN = pe_program(text=b"an owner's kernel")


def started(program: bytes, *measured_later: bytes) -> FirmwareLog:
    """The log of a machine that started a program, and else is as the good one; what ran measured more into PCR 4."""
    log = tcg_header()
    for pcr, kind, what in BOOT:
        known = next(e.digest for e in tcg_event_log.parse_log(GOOD.log).events if e.data == what.encode())
        log += tcg_event(pcr, kind, authenticode_digest(program) if kind == APPLICATION else known, b"")
    for later in measured_later:
        log += tcg_event(LOADER_PCR, APPLICATION, authenticode_digest(later), b"")
    replayed = tcg_event_log.replay(tcg_event_log.parse_log(log))
    return FirmwareLog(b"".join(replayed[pcr] for pcr in FIRMWARE_PCRS), log)


def stated(program: bytes, *, final: bool) -> list[dict[str, Any]]:
    """What an owner states who took a machine that started a program for good."""
    return to_json(statable(measured(started(program)), final=final))


def faults(host: ServiceHost, program: bytes) -> list[str]:
    """What is said of a machine that started a program, at the first second and long after."""
    (policy,) = host.service.attestation.policies.book.values()
    assert policy.firmware is not None
    return [policy.firmware.fault(CHIP, started(program), now) for now in (1, 2**40)]


def packages(host: ServiceHost, content: bytes, *, chip: str = CHIP) -> dict[str, bytes]:
    """The packages of a release, whose first has this content."""
    key, certificate = P256
    profile = host.service.chips.get(chip)
    made = dict(
        virtual_chain.build(profile, "27.1", built=1_790_000_000, security_version=1, key=key, certificate=certificate)
    )
    first = profile.boot_components[0]
    made[first.name] = image_package.build(
        content,
        sections=image_package.standard_sections(
            image_type=first.image_type,
            component_id=first.component_id,
            image_id=uuid4(),
            name=first.name,
            built=1_790_000_000,
            security_version=1,
        ),
        key=key,
        certificate=certificate,
    )
    return made


def test_the_loader_of_a_published_release_is_known_until_it_is_withdrawn(host: ServiceHost) -> None:
    service, drafts = host.service, host.service.attestation.drafts

    def fault(program: bytes) -> str:
        (policy,) = service.attestation.policies.book.values()
        assert policy.firmware is not None
        return policy.firmware.fault(CHIP, started(program), 1)

    values = to_json(statable(measured(GOOD), final=False))
    service.attestation.firmware.add("Contoso", CHIP, values, actor="ann")
    draft = drafts.create(CHIP, "27.1", packages=packages(host, boot_partition(NEWER)), actor="ann")
    drafts.sign(draft.release_id, actor="ann")
    assert fault(NEWER).startswith("PCR 4 (boot loader): "), "it is nobody's yet"
    drafts.publish(draft.release_id, actor="ann")
    assert fault(NEWER) == ""
    stranger = fault(pe_program(text=b"a stranger's one"))
    assert stranger.endswith(f"It is the boot loader of no release of {CHIP} that is in force.")
    service.releases.withdraw(draft.release_id, "a hole", actor="ann")
    assert fault(NEWER).startswith("PCR 4 (boot loader): ")


def test_the_loader_of_a_release_below_a_security_floor_is_not_known(host: ServiceHost) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    first = service.chips.get(CHIP).boot_components[0]

    def fault() -> str:
        (policy,) = service.attestation.policies.book.values()
        assert policy.firmware is not None
        return policy.firmware.fault(CHIP, started(NEWER), 1)

    service.attestation.firmware.add("Contoso", CHIP, to_json(statable(measured(GOOD), final=False)), actor="ann")
    draft = drafts.create(CHIP, "27.1", packages=packages(host, boot_partition(NEWER)), actor="ann")
    drafts.sign(draft.release_id, actor="ann")
    drafts.publish(draft.release_id, actor="ann")
    assert fault() == ""
    service.releases.publish(CHIP, "27.2", security_version=2, actor="ann")
    assert fault() == "", "two releases are in force"
    service.attestation.floors.raise_to(CHIP, first.image_type, 2, actor="ann")
    assert fault().startswith("PCR 4 (boot loader): ")


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("how", ["withdrawn", "below a floor", "over"])
def test_the_loader_of_a_release_that_was_taken_back_is_not_good_though_it_is_stated(
    host: ServiceHost, how: str, *, final: bool
) -> None:
    """Who holds the OS of that release has it say what it likes, but for what its firmware measured before it ran."""
    service, drafts = host.service, host.service.attestation.drafts
    service.attestation.firmware.add("Contoso", CHIP, stated(NEWER, final=final), actor="ann")
    service.attestation.firmware.add("Contoso", CHIP, stated(OWN, final=final), actor="ann")
    draft = drafts.create(CHIP, "27.1", packages=packages(host, boot_partition(NEWER)), actor="ann")
    drafts.sign(draft.release_id, actor="ann")
    assert faults(host, NEWER) == ["", ""], "a draft takes nothing from what its owner states"
    drafts.publish(draft.release_id, actor="ann")
    assert faults(host, NEWER) == ["", ""]
    if how == "withdrawn":
        service.releases.withdraw(draft.release_id, "a hole", actor="ann")
    elif how == "over":
        service.releases.set_expiry(draft.release_id, 2, actor="ann")
    else:
        service.releases.publish(CHIP, "27.2", security_version=2, actor="ann")
        first = service.chips.get(CHIP).boot_components[0]
        service.attestation.floors.raise_to(CHIP, first.image_type, 2, actor="ann")
    early, late = faults(host, NEWER)
    assert late.startswith(
        "PCR 4 (boot loader): " if how != "over" else "The reference values for PCR 4 (boot loader) "
    )
    assert early == ("" if how == "over" else late)
    assert faults(host, OWN) == ["", ""], "what no release brings is good because it is stated"


def test_without_the_releases_word_what_is_stated_would_be_good(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: the refusal above comes from what the releases say of their loaders, and from nothing else."""
    service, drafts, known = host.service, host.service.attestation.drafts, ReleasedLoaders.of

    def forgetful(self: ReleasedLoaders, chips: Iterable[str]) -> Any:
        return {chip: {one: end for one, end in found.items() if end} for chip, found in known(self, chips).items()}

    service.attestation.firmware.add("Contoso", CHIP, stated(NEWER, final=False), actor="ann")
    draft = drafts.create(CHIP, "27.1", packages=packages(host, boot_partition(NEWER)), actor="ann")
    drafts.sign(draft.release_id, actor="ann")
    drafts.publish(draft.release_id, actor="ann")
    monkeypatch.setattr(ReleasedLoaders, "of", forgetful)
    service.releases.withdraw(draft.release_id, "a hole", actor="ann")
    assert faults(host, NEWER) == ["", ""]


def test_a_loader_that_a_release_in_force_brings_as_well_stays_good(host: ServiceHost) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    service.attestation.firmware.add("Contoso", CHIP, stated(NEWER, final=False), actor="ann")
    made = []
    for version in ("27.1", "27.2"):
        draft = drafts.create(CHIP, version, packages=packages(host, boot_partition(NEWER)), actor="ann")
        drafts.sign(draft.release_id, actor="ann")
        made.append(drafts.publish(draft.release_id, actor="ann"))
    service.releases.withdraw(made[0].release_id, "a hole in another component", actor="ann")
    assert faults(host, NEWER) == ["", ""]
    service.releases.withdraw(made[1].release_id, "a hole", actor="ann")
    assert all(faults(host, NEWER))


def test_a_package_that_comes_later_is_known_then(host: ServiceHost) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    draft = drafts.create(CHIP, "27.1", packages=packages(host, boot_partition(NEWER)), actor="ann")
    drafts.sign(draft.release_id, actor="ann")
    released = drafts.publish(draft.release_id, actor="ann")
    blobs = Blobs(service.context.folder.blobs)
    loaders = ReleasedLoaders(service.releases, blobs)
    place = blobs.path(released.components[0].digest)
    away = place.rename(place.with_suffix(".away"))
    assert CHIP not in loaders.of([CHIP])
    away.rename(place)
    assert (EVENT, authenticode_digest(NEWER)) in loaders.of([CHIP])[CHIP]


def test_both_values_of_a_release_that_u_boot_starts_are_known_until_it_is_withdrawn(host: ServiceHost) -> None:
    service, drafts, chip = host.service, host.service.attestation.drafts, "gateway-imx8mp"
    file = flattened(slot_file())
    draft = drafts.create(chip, "27.1", packages=packages(host, file + bytes(100), chip=chip), actor="ann")
    drafts.sign(draft.release_id, actor="ann")
    drafts.publish(draft.release_id, actor="ann")
    loaders = ReleasedLoaders(service.releases, Blobs(service.context.folder.blobs))
    assert loaders.of([chip])[chip] == {(FINAL, value): FOREVER for value in slot_values(file).values()}
    service.releases.withdraw(draft.release_id, "a hole", actor="ann")
    assert loaders.of([chip])[chip] == {(FINAL, value): 0 for value in slot_values(file).values()}


def test_a_device_that_names_a_release_which_its_firmware_did_not_start_gets_only_updates(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older OS, rightly signed, that names the packages in another slot; the catalog states nothing."""
    drafts = host.service.attestation.drafts
    for version, program in (("27.1", OWN), ("27.2", NEWER)):
        given = packages(host, boot_partition(program))
        draft = drafts.create(CHIP, version, packages=given, feed="Retail", actor="ann")
        drafts.sign(draft.release_id, actor="ann")
        drafts.publish(draft.release_id, actor="ann")

    def check_in(machine: TpmWireDevice, firmware: FirmwareLog | None) -> CheckinReply:
        clock.now += 1
        machine.firmware = firmware
        return machine.check_in()

    with host.device(b"c" * 32, chip=CHIP) as device:
        host.service.registry.devices.claim(
            "Contoso", [device.device_id], product="Kettle", group="Production", actor="ann"
        )
        machine = TpmWireDevice(host, device, None)
        assert check_in(machine, started(NEWER)).verdict == "attested"
        refused = check_in(machine, started(OWN))
        assert refused.verdict == "update-only"
        [step] = [each for each in refused.steps if each.result == "fail"]
        assert step.number == 20
        assert "the firmware did not start the" in step.detail
        extended = check_in(machine, started(OWN, NEWER))
        assert extended.verdict == "update-only"
        [step] = [each for each in extended.steps if each.result == "fail"]
        assert "the loader of another release than that of the" in step.detail
        assert check_in(machine, started(NEWER)).verdict == "attested"
        monkeypatch.setattr(StartedSystems, "fault", lambda *_: "")
        assert check_in(machine, started(OWN)).verdict == "attested", "nothing else stops it"


def test_sections_that_lie_over_one_another_are_refused() -> None:
    program = bytearray(pe_program())
    table = 64 + 24 + 112 + 16 * 8
    for section in (table, table + 40):
        struct.pack_into("<II", program, section + 16, 400, 100)
    with pytest.raises(WireError, match="sections of"):
        authenticode_digest(bytes(program))
