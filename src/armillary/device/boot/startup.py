# SPDX-License-Identifier: Apache-2.0
"""Starts a device: counts the start, verifies and measures the boot chain that is in force, derives the keys.

Anti-rollback: the lowest security version that may boot is kept per image type in flash (``device/minimums``) and
raised once the service has attested a confirmed boot. A copy of old flash brings old minimums with it: a TPM keeps them
as well (``RootOfTrust.minimums``), and without one the service's own are what holds (``attest.appraise``). What is
damaged in flash is made anew of what the TPM keeps; where nothing keeps them the device does not start.

A chain that is refused is read :data:`READ_TRIES` times before that counts. One that the medium does not give is not
known to be bad: on a machine that starts again it is tried in the next start, also on trial. Another OS comes into
force only where its own chain may boot. Where this code is part of the OS that was started, on the disk of a device
image, nothing but that OS boots: the machine has to start again (``slot_choice.py``).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from armillary import content
from armillary.boot import chain, counter, profile
from armillary.boot.chain import BootRecord
from armillary.boot.profile import ChipProfile
from armillary.device.boot.known_versions import known_version, remember_version
from armillary.device.install.installer import Installer, Verify
from armillary.device.install.trust_stores import adopt_stores, configuration_in_force
from armillary.device.state.configuration import DeviceConfiguration
from armillary.device.state.journal import Journal
from armillary.device.state.reports import FAULT, LOST, Incident, ReportQueue
from armillary.engines.flash.port import Flash, replace_region
from armillary.engines.root_of_trust.port import BootSession, RootOfTrust
from armillary.errors import BootRefusedError, DataFolderError, WireError
from armillary.update.install.component import OsPlace, os_region
from armillary.update.install.record import InstallRecord, OsVersion
from armillary.update.install.starting import raised_minimums
from armillary.wire.attestation.event_log import BootEvent, encode_log
from armillary.wire.encoding import cbor

_MINIMUMS = "device/minimums"
_MAX_MINIMUMS_BYTES = 4096  # 29 image types
_LOST: Final = "lowest security versions"
_REFUSED: Final = "BootFailure"  # type of a report of a boot chain that was refused
# A sector in many is read wrongly and is well the next time (``engines.flash.port.WRITE_TRIES``). What is refused twice
# in one start may still be well in another one.
READ_TRIES: Final = 2


class _UnreadError(BootRefusedError):
    """A boot chain was refused because the medium did not give all of it."""


# The first code that runs: decides whether the chain may start, and measures it; called as ``boot.chain.boot`` is.
BootRom = Callable[..., BootRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """The result of a boot.

    Attributes:
        configuration: With the OS version and the trust stores that are in force.
        events: What was measured, in order; ``event_log`` is the same encoded for check-ins.
        session: What this boot can prove.
        booted: Flash regions of the boot components and trust stores that this boot used.
        keep_minimums: Keeps anti-rollback minimums where a copy of the flash does not reach.
        refused: Why boot chains were refused before this one; each gave way to the OS before it.
        verify_other: Verifies what another record names, before it comes into force; BootRefusedError if that may not
            boot.
        stays: Why what is on trial was not taken back though its starts are used up, a sentence; empty where it has
            some left.
        lost: Why the minimums in flash were made anew of those that the root of trust keeps; empty where they were not.
        fault: What the start found wrong with the machine itself, a sentence; empty where nothing is.
    """

    profile: ChipProfile
    configuration: DeviceConfiguration
    events: tuple[BootEvent, ...]
    event_log: bytes = field(repr=False)
    session: BootSession
    booted: frozenset[str]
    keep_minimums: Callable[[Mapping[int, int]], None] = field(repr=False)
    verify_other: Verify = field(repr=False)
    stays: str = ""
    refused: tuple[str, ...] = ()
    lost: str = ""
    fault: str = ""

    @property
    def places(self) -> tuple[OsPlace, ...]:
        """The boot components of the chip, with what this boot measured in each."""
        digests = {event.component: event.digest for event in self.events}
        return tuple(
            OsPlace(
                component_id=component.component_id,
                image_type=component.image_type,
                name=component.name,
                size_limit_bytes=component.size_limit_bytes,
                digest=digests.get(component.name, b""),
            )
            for component in self.profile.boot_components
        )

    def is_behind(self, record: InstallRecord) -> bool:
        """Whether another OS or trust store is in force by now, so that the device has to start again.

        Or the OS has another version than this boot says.
        """
        if record.os.version not in ("", self.configuration.os_version):
            return True
        return record.system_regions(event.component for event in self.events) != self.booted


def start_up(
    flash: Flash,
    configuration: DeviceConfiguration,
    root_of_trust: RootOfTrust,
    boot_rom: BootRom,
    installer: Installer,
    runs: Callable[[InstallRecord], bool] | None = None,
) -> Startup:
    """Boot what the install record names; the start is counted in it before the chain runs.

    ``runs`` says whether the OS that a record names is the one that this code is part of, which alone can boot then. It
    stays in force if it is refused and is no trial, or could not be read: it is tried again, and given up by what runs
    from the other slot, or when its trial has no starts left.

    Raises:
        BootRefusedError: verified boot stopped at a stage, and there is no other OS that may boot, or it is not the one
            that ``runs``; nothing was derived and the boot was not counted by the root of trust.
        RootOfTrustError: the boot cannot be counted.
        DataFolderError: the minimums in flash are damaged, and the root of trust keeps none.
        NotFoundError: this version has no profile of the device's chip.
    """
    chip = chip_profile(configuration.chip)
    names = [component.name for component in chip.boot_components]
    stage = boot_rom if runs is None else chain.boot  # the latter looks at packages alone: another OS runs
    lost = _damage_of_minimums(flash)  # before anything is verified, which makes them anew
    stays = installer.count_start(functools.partial(verify_chain, flash, configuration, root_of_trust, stage))
    if runs is not None and not runs(installer.record):
        raise _not_in_this_start("the OS on trial was taken back")
    configuration = adopt_stores(flash, installer.record, configuration)
    verify_other = functools.partial(verify_chain, flash, configuration, root_of_trust, stage)
    refused: tuple[str, ...] = ()
    try:
        in_force, record = verify_chain(flash, configuration, root_of_trust, boot_rom, installer.record)
    except BootRefusedError as error:
        if runs is not None and (isinstance(error, _UnreadError) or not installer.record.system_on_trial):
            raise
        in_force, record = installer.boot_refused(error, verify_other)
        if runs is not None:
            raise _not_in_this_start(error.message) from error
        refused = (error.message,)
    in_force = _named(flash, installer, in_force, record.events)
    return Startup(
        profile=chip,
        configuration=in_force,
        events=record.events,
        event_log=encode_log(record.events),
        session=root_of_trust.begin_boot(record.events),
        booted=installer.record.system_regions(names),
        keep_minimums=root_of_trust.keep_minimums,
        verify_other=verify_other,
        stays=stays,
        refused=refused,
        lost=lost,
    )


def _named(
    flash: Flash, installer: Installer, configuration: DeviceConfiguration, events: Sequence[BootEvent]
) -> DeviceConfiguration:
    """The configuration with the version under which this OS was attested, where the record was lost and has none."""
    known, os = known_version(flash, [event.digest for event in events]), installer.record.os
    if os.version or known in (OsVersion(), OsVersion(configuration.os_version, os.abi)):
        return configuration
    with contextlib.suppress(DataFolderError):  # the next start names it again
        installer.name_os(known)
    return replace(configuration, os_version=known.version)


def _not_in_this_start(reason: str) -> BootRefusedError:
    return BootRefusedError(f"{reason}; what was before it is in force", remedy="The machine starts again, with that.")


def verify_chain(
    flash: Flash,
    configuration: DeviceConfiguration,
    root_of_trust: RootOfTrust,
    boot_rom: BootRom,
    record: InstallRecord,
) -> tuple[DeviceConfiguration, BootRecord]:
    """Verify and measure the boot chain that an install record names; also the configuration that goes with it.

    Raises:
        BootRefusedError: it may not boot, also when it is read again.
        RootOfTrustError: the minimums that it keeps cannot be read; nothing may boot.
        DataFolderError: those in flash are damaged, and it keeps none.
    """
    _adopt_minimums(flash, root_of_trust.minimums())
    chip = chip_profile(configuration.chip)
    in_force = configuration_in_force(flash, record, configuration)
    packages = _InFlash(
        flash, {each.name: os_region(each.name, record.os_slot(each.name)) for each in chip.boot_components}
    )
    minimums = load_minimums(flash)
    boots = functools.partial(boot_rom, chip, packages, trusted=in_force.os_signers, minimum_security_versions=minimums)
    for _ in range(READ_TRIES - 1):
        try:
            return in_force, boots()
        except BootRefusedError:
            packages.read_again()
    try:
        return in_force, boots()
    except BootRefusedError as error:
        if packages.are_unread:
            raise _UnreadError(error.message, remedy=error.remedy) from error
        raise


class _InFlash(Mapping[str, bytes]):
    """Boot components by name, each read when it is asked for: one is in memory at a time.

    One that is missing, or that the medium does not give, is empty: the boot is refused, and another OS may give way.
    ``are_unread`` says whether the latter was so since the beginning, or since :meth:`read_again`.
    """

    def __init__(self, flash: Flash, regions: Mapping[str, str]) -> None:
        self._flash = flash
        self._regions = regions
        self.are_unread = False

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._flash.read(self._regions[name]) or b""
        except DataFolderError:
            self.are_unread = True
            return b""

    def read_again(self) -> None:
        """Have what is read next come from the medium, and from no cache."""
        self.are_unread = False
        for region in self._regions.values():
            with contextlib.suppress(DataFolderError):  # one that is missing, or that the medium does not give
                self._flash.sync(region)

    def __iter__(self) -> Iterator[str]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)


@functools.cache
def chip_profile(chip: str) -> ChipProfile:
    """A shipped chip profile, NotFoundError if there is none.

    Kept: a device boots again within its process after an update of its OS.
    """
    return profile.parse(content.chip_document(chip))


def load_minimums(flash: Flash) -> Mapping[int, int]:
    """Image type -> lowest security version that may boot.

    DataFolderError if the record is damaged: booting without it could start a stage known to be vulnerable.
    """
    data = flash.read(_MINIMUMS)
    if data is None:
        return {}
    try:
        return _decode_minimums(data)
    except (WireError, BootRefusedError) as error:
        raise DataFolderError(
            f"flash region {_MINIMUMS} is damaged: {error.message}",
            remedy="Put that file back from a copy of the folder, or make the device anew: the lowest versions that it "
            "may boot are known from nowhere else.",
        ) from error


def _decode_minimums(data: bytes) -> Mapping[int, int]:
    value: Any = cbor.decode(data, what="security version minimums", limit=_MAX_MINIMUMS_BYTES)
    if not isinstance(value, dict) or not all(type(n) is int for pair in value.items() for n in pair):
        raise BootRefusedError("security version minimums: expected a map of numbers, got another value")
    return counter.merge_minimums({}, value)


def _damage_of_minimums(flash: Flash) -> str:
    """What is wrong with the minimums in flash; empty where nothing is."""
    try:
        load_minimums(flash)
    except DataFolderError as error:
        return error.message
    return ""


def _adopt_minimums(flash: Flash, kept: Mapping[int, int] | None) -> None:
    """Raise the minimums in flash, which may be an old copy, to those that the root of trust kept.

    What is damaged in flash counts as none where the root of trust kept some, be they all 0 (``kept`` is empty then).
    """
    present: Mapping[int, int] | None = None
    try:
        present = load_minimums(flash)
    except DataFolderError:
        if kept is None:
            raise
    whole, lowest = present or {}, kept or {}
    raised = {kind: max(whole.get(kind, 0), lowest.get(kind, 0)) for kind in {*whole, *lowest}}
    if present is None or raised != dict(present):
        replace_region(flash, _MINIMUMS, cbor.encode(raised))


def confirm_boot(flash: Flash, startup: Startup, installer: Installer) -> None:
    """Raise the minimum security versions to those of a boot that the service has attested; keep its OS version.

    Nothing is raised while the OS is on trial: the way back may need the old versions. The install record hears of it.

    Raises:
        BootRefusedError: what booted is not what is in force any more.
        DataFolderError: the flash does not take it.
    """
    record = installer.record
    if record.system_on_trial:
        return
    minimums = load_minimums(flash)
    raised = raised_minimums(minimums, record, startup.events, startup.booted)
    startup.keep_minimums(raised)  # first: what a cut leaves undone here, the next start adopts
    if dict(raised) != dict(minimums):
        replace_region(flash, _MINIMUMS, cbor.encode(dict(raised)))
    os = OsVersion(startup.configuration.os_version, record.os.abi)
    remember_version(flash, [event.digest for event in startup.events], os)
    installer.attested()


def report_start(startup: Startup, faults: Sequence[str], journal: Journal, reports: ReportQueue) -> None:
    """Tell the service which boot chains were refused before the one that boots, and what the start went on without.

    All is written to the log, too; ``faults`` are there already.
    """
    version = startup.configuration.os_version
    for reason in startup.refused:
        journal.write("os-left", reason=reason, os_version=version)
        description = f"the boot chain was refused, OS {version} boots instead: {reason}"
        reports.add(Incident(event_type=_REFUSED, event_class="OS", description=description))
    if startup.lost:
        journal.write("started-without", service=_LOST, reason=startup.lost)
        faults = (f"{_LOST}: {startup.lost}", *faults)
    if startup.stays:
        journal.write("update-stays", reason=startup.stays)
    descriptions = [each for each in (startup.fault, startup.stays) if each]
    descriptions += [f"the device started without what it keeps of {fault}" for fault in faults]
    for description in descriptions:
        reports.add(Incident(event_type=FAULT, event_class="OS", description=description))


def report_refused(error: BootRefusedError, journal: Journal, reports: ReportQueue) -> None:
    """Write a refused boot to the log, and queue a report for the service, durably.

    What the data do not take is written to the log, ``report-not-kept``: why nothing boots stays what is said.
    """
    journal.write("boot-refused", reason=error.message, remedy=error.remedy)
    reports.add(Incident(event_type=_REFUSED, event_class="OS", description=error.message))
    try:
        reports.flush()
    except DataFolderError as unkept:
        journal.write("report-not-kept", reason=unkept.message)


def refused_starts(reports: ReportQueue) -> int:
    """How many boot chains were refused of which the service has not heard yet.

    A full queue counts them with all else that it loses; that is counted, too.
    """
    return sum(report.count for report in reports.waiting if report.event_type in (_REFUSED, LOST))
