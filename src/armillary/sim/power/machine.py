# SPDX-License-Identifier: Apache-2.0
"""A device on simulated flash that runs the product's boot and installer rules, in the order of the device process.

``power_on`` is what ``device/process.py`` does before its loop, a recovery what ``armillary device recover`` does, the
rest what ``device/running.py``, ``device/installation.py`` and ``device/checkin/checkin.py`` do in the loop, without
network, sandbox and waiting: what the service wants, and which software is any good, is given by a :class:`Wish`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from cryptography import x509

from armillary.boot import chain
from armillary.boot.chain import BootRecord
from armillary.boot.profile import ChipProfile
from armillary.device.boot.provision import FactoryReply
from armillary.device.boot.recovery import finish_recovery, restore
from armillary.device.boot.startup import Startup, confirm_boot, load_minimums, start_up
from armillary.device.install.installer import Installer
from armillary.device.install.trust_stores import keep_confirmed
from armillary.device.state.clock import DeviceClock
from armillary.device.state.configuration import DeviceConfiguration, load_configuration, store_configuration
from armillary.device.state.hub_address import store_hub
from armillary.device.state.reports import Incident, ReportQueue
from armillary.engines.flash.port import Flash, replace_region
from armillary.errors import ArmillaryError, InstallError
from armillary.sim.power.admission import Admission
from armillary.sim.power.root_of_trust import SimulatedFuses
from armillary.sim.power.supply import Supply
from armillary.sim.power.witness import Breach, BrokenPromiseError, Witness
from armillary.update.install.plan import plan_install, rejection_key
from armillary.update.install.record import InstallRecord
from armillary.update.install.refusal import Refusal
from armillary.update.install.transaction import InstallState
from armillary.update.install.trial import DEFAULT_RULES, ApplicationHealth, Keep, TakeBack, judge
from armillary.wire.device.checkin import Offer

NOW: Final = 1_800_000_000  # when simulated devices live, Unix seconds
# Starts within which a device comes to what is wanted: three that a trial has, and what two cuts and a revert take.
STARTS_LIMIT: Final = 8
# Check-ins of one start: offer, contact, outcome, and one after each step that failed.
CHECK_INS_LIMIT: Final = 12
_STEP_S: Final = 7200  # from one check-in to the next: the time is stored anew each time, and health is judged
_LINEAGE: Final = "device/lineage"
_RECOVERED: Final = ("recovered",)  # among what is told: whoever recovers a device by hand sees that it is done


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the service wants of the device, and how that turns out.

    Attributes:
        configuration: What the service's renewal makes of the device's configuration.
        crashing: Images of applications that do not stay up.
        hanging: Images of applications that keep the device from settling until it is switched off and on.
        hanging_os: OS versions that boot and then do nothing.
        unattested: OS versions whose boot the service does not attest.
        insists: An offer that failed on the device is made again as another deployment: where the flash stored
            something wrongly. No cut alone may make a good offer fail.
        recovery: What the factory gives when a person recovers the device by hand, once it has started; None if nobody
            does.
        boots: Whether an OS boots before it is recovered.
    """

    offer: Offer | None = None
    configuration: DeviceConfiguration | None = None
    crashing: frozenset[UUID] = frozenset()
    hanging: frozenset[UUID] = frozenset()
    hanging_os: frozenset[str] = frozenset()
    unattested: frozenset[str] = frozenset()
    insists: bool = False
    recovery: FactoryReply | None = None
    boots: bool = True


@dataclass(slots=True)
class Told:
    """What the world has learned from the device: (image, outcome) of the service; no cut takes it back."""

    outcomes: frozenset[object] = field(default_factory=frozenset)

    def now(self) -> frozenset[object]:
        """A value to keep."""
        return self.outcomes


class Machine:
    """One device, from one power-on to the next.

    Its methods raise BrokenPromiseError if the witness saw something, or the device does not boot or comes to no rest.
    """

    installer: Installer
    _startup: Startup
    _clock: DeviceClock
    _reports: ReportQueue

    def __init__(self, flash: Flash, supply: Supply, witness: Witness, told: Told) -> None:
        self._flash = flash
        self._supply = supply
        self._admission = Admission(supply, flash)
        self._witness = witness
        self._told = told
        self._fuses = SimulatedFuses()
        self._monotonic = 0.0

    def live(self, wish: Wish) -> None:
        """Start, do what is wanted, start again where that is needed, until nothing is left to do.

        A device that is recovered by hand is started first: after a cut it has to run what it ran, or what it was to
        get. Then the person says it again.
        """
        if wish.recovery is not None and _RECOVERED not in self._told.outcomes:
            try:
                self.live_once(wish)
            except BrokenPromiseError as error:
                if wish.boots or error.breach is not Breach.BRICK:
                    raise
            self._recover(wish.recovery)
        for _ in range(STARTS_LIMIT):
            if self.live_once(wish):
                return
        raise BrokenPromiseError(Breach.NOT_CONVERGED, f"not at rest after {STARTS_LIMIT} starts")

    def live_once(self, wish: Wish) -> bool:
        """Start and do what is wanted; False if the device has to start again before it is at rest."""
        self.power_on()
        if self._os_version in wish.hanging_os:
            return False
        try:
            self._run_applications()
            return self._work(wish)
        except ArmillaryError as error:
            raise BrokenPromiseError(Breach.NOT_CONVERGED, f"the device process ended: {error.message}") from error

    def power_on(self) -> None:
        """Boot, and see what is whole."""
        try:
            finish_recovery(self._flash, lambda: NOW)
            configuration = load_configuration(self._flash)
            self.installer = Installer(self._flash, lambda: NOW)
            self._startup = start_up(self._flash, configuration, self._fuses, self._boot_rom, self.installer)
            self.installer.check_images(self._startup.verify_other)
            self._clock = DeviceClock(self._flash, monotonic=lambda: self._monotonic, wall=lambda: 0.0)
            self._reports = ReportQueue(self._flash, self._clock.now, self._fuses.boot_count)
        except ArmillaryError as error:
            raise BrokenPromiseError(Breach.BRICK, error.message) from error

    def _boot_rom(
        self,
        profile: ChipProfile,
        packages: Mapping[str, bytes],
        *,
        trusted: Sequence[x509.Certificate],
        minimum_security_versions: Mapping[int, int],
    ) -> BootRecord:
        record = self._verified(profile, packages, trusted=trusted, minimum_security_versions=minimum_security_versions)
        self._witness.booted(packages)
        return record

    def _verified(
        self,
        profile: ChipProfile,
        packages: Mapping[str, bytes],
        *,
        trusted: Sequence[x509.Certificate],
        minimum_security_versions: Mapping[int, int],
    ) -> BootRecord:
        minimums = minimum_security_versions
        return self._supply.remembered(
            ("boot", tuple(packages.items()), tuple(trusted), tuple(minimums.items())),
            lambda: chain.boot(profile, packages, trusted=trusted, minimum_security_versions=minimums),
        )

    def _recover(self, reply: FactoryReply) -> None:
        try:
            restore(self._flash, reply, now=lambda: NOW, boot_rom=self._verified)
        except ArmillaryError as error:
            raise BrokenPromiseError(Breach.BRICK, f"it cannot be recovered: {error.message}") from error
        self._told.outcomes |= {_RECOVERED}

    @property
    def _os_version(self) -> str:
        return self._startup.configuration.os_version

    @property
    def _record(self) -> InstallRecord:
        return self.installer.record

    def _work(self, wish: Wish) -> bool:
        """Everything until the device is at rest; False if it has to start again first."""
        for _ in range(CHECK_INS_LIMIT):
            if self._startup.is_behind(self._record):
                return False
            self._check_in(wish)
            if self._record.trial is not None:
                if not self._settle(wish):
                    return False
            elif not (self._renew(wish) or self._install(wish)) and not self._record.outcomes:
                return True
        raise BrokenPromiseError(Breach.NOT_CONVERGED, f"not at rest after {CHECK_INS_LIMIT} check-ins")

    def _check_in(self, wish: Wish) -> None:
        """A check-in: the service learns the outcomes; the device the time, the hub, whether its boot is attested."""
        self._monotonic += _STEP_S
        sent, reports = self._record.outcomes, self._reports.seal()
        self._told.outcomes |= {(outcome.image_id, outcome.outcome) for outcome in sent}
        replace_region(self._flash, _LINEAGE, int(self._monotonic).to_bytes(32))
        self._clock.set_from_service(NOW + int(self._monotonic))
        self._reports.acknowledge(reports)
        self.installer.acknowledge(sent)
        if self._os_version not in wish.unattested:
            confirm_boot(self._flash, self._startup, self.installer)
            keep_confirmed(self._flash, self._record)
        store_hub(self._flash, ("hub.example", 8883))

    def _renew(self, wish: Wish) -> bool:
        if wish.configuration is None or wish.configuration == load_configuration(self._flash):
            return False
        store_configuration(self._flash, wish.configuration)
        return True

    def _install(self, wish: Wish) -> bool:
        """Install what is offered; whether there was something to do."""
        if wish.offer is None or self.installer.state is not InstallState.IDLE:
            return False
        offer = self._again(wish.offer) if wish.insists else wish.offer
        plan = None
        try:
            plan = plan_install(self._record, offer, self._startup.places)
            if plan is None:
                return False
            for each in self.installer.missing(plan):
                self.installer.keep(each.target, self._supply.packages[each.target.sha256])
            packages = self.installer.fetched(plan)
            self._admission.check(plan, packages, self._startup, load_minimums(self._flash), self.installer)
            running = {image.image_id for image in self._record.applications}
            self.installer.stage(plan)
            self.installer.switch(plan, running=running)
        except InstallError as error:
            if plan is None:
                self.installer.refuse_offer(offer, error.message)
            else:
                self.installer.refuse(plan, error.message)
            return True
        except ArmillaryError:
            return False  # the flash failed: put off to a later check-in, which would end no other way here
        self._run_applications()
        return True

    def _again(self, offer: Offer) -> Offer:
        """The offer under the first number that has not failed here."""
        numbers = (UUID(int=1 << 100 | attempt) for attempt in itertools.count())
        again = (replace(offer, offer_id=number, deployment_id=number) for number in numbers)
        return next(
            each for each in itertools.chain((offer,), again) if rejection_key(each) not in self._record.rejected
        )

    def _settle(self, wish: Wish) -> bool:
        """Judge the set on trial, long after its start, just after contact; False if it hangs and is switched off."""
        trial = self._record.trial
        if trial is None:
            raise AssertionError("asked to settle a trial where there is none")
        watched = [image for image in self._record.active if image.image_id in trial.watched]
        if any(image.image_id in wish.hanging for image in watched):
            return False
        started = self._monotonic - _STEP_S / 2
        exits = DEFAULT_RULES.exits_allowed
        verdict = judge(
            [ApplicationHealth(i.name, started, exits if i.image_id in wish.crashing else 0) for i in watched],
            started=started,
            contact=self._monotonic,
            now=self._monotonic,
            rules=DEFAULT_RULES,
            with_os=self._record.system_on_trial,
            refusal=Refusal("the OS is not known", bars=True) if self._os_version in wish.unattested else None,
        )
        if isinstance(verdict, Keep):
            self.installer.confirm()
        elif isinstance(verdict, TakeBack):
            self.installer.revert(verdict.reason, self._startup.verify_other, bars=verdict.bars)
            self._reports.add(Incident(event_type="InstallReverted", event_class="OS", description=verdict.reason))
            self._reports.flush()
            self._run_applications()
        return True

    def _run_applications(self) -> None:
        """Load the active set and run it; a set on trial that cannot be loaded is taken back, as the process does."""
        if self._startup.is_behind(self._record):
            return
        packages = []
        for image in self._record.applications:
            try:
                data = self.installer.package(image)
                self._admission.admit(data, image, self._record.os.abi)
            except InstallError as error:
                if self._record.trial is not None:
                    self.installer.revert(error.message, self._startup.verify_other)
                    self._run_applications()
                    return
                continue
            packages.append(data)
        self._witness.started(packages)
