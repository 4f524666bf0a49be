# SPDX-License-Identifier: Apache-2.0
"""A transaction on one board: its flash before, and one life of the device from any state of it to the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from armillary.device.boot import recovery_regions
from armillary.device.boot.provision import store_boot_components
from armillary.device.install import fetched
from armillary.device.state.configuration import load_configuration, store_configuration
from armillary.device.state.permission import begin_state
from armillary.identity.manufacturing import ManufacturingState
from armillary.sim.power.asked import Asked
from armillary.sim.power.flash import PowerFlash
from armillary.sim.power.geometry import Geometry
from armillary.sim.power.known import Ending
from armillary.sim.power.machine import Machine, Told, Wish
from armillary.sim.power.supply import (
    FIRST_OS,
    Bundle,
    Contents,
    Supply,
    older_os,
    os_version,
    security_version,
)
from armillary.sim.power.transactions import Regions, Transaction
from armillary.sim.power.witness import Breach, BrokenPromiseError, Witness, described

# Where nothing lies that no record names.
_PACKAGES: Final = (
    "applications/",
    "boot.b/",
    "trust/",
    fetched.FOLDER,
    recovery_regions.STORED,
    recovery_regions.DECIDED,
)
_NO_OUTCOMES: Final = frozenset[object]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A chip on a medium; ``name`` is ``chip/medium``."""

    supply: Supply
    geometry: Geometry

    @property
    def name(self) -> str:
        """E.g. ``mt3620/spi-nor``."""
        return f"{self.supply.profile.name}/{self.geometry.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a device goes through.

    Attributes:
        start: Its flash before.
        legal: Sets that may run on the way.
        final: The set that runs in the end; None where any legal one may.
        outcomes: What the service has to be told, (image, outcome) each.
        floor: Security version whose boot it had confirmed before.
        os_signers: How many keys may sign its OS in the end.
        is_good: Whether what is offered stays on the device.
        worn: Beginning of the names of regions that the medium stores wrongly.
        has_lost_a_start: Whether the power had gone in a start of the trial that is under way.
    """

    board: Board
    name: str
    start: Regions
    wish: Wish
    legal: frozenset[Contents]
    final: Contents | None
    outcomes: frozenset[object] = _NO_OUTCOMES
    floor: int = 0
    os_signers: int = 1
    is_good: bool = True
    worn: str = ""
    has_lost_a_start: bool = False

    def live(
        self,
        durable: Mapping[str, bytes],
        told: frozenset[object] = _NO_OUTCOMES,
        *,
        flaws: Collection[int] = (),
        asked: Asked | None = None,
    ) -> PowerFlash:
        """A device with this flash, from its start until it is at rest; ``told`` is what the service knew already.

        With ``flaws`` the medium stores these operations' sectors wrongly. ``asked`` notes what the life depends on.
        BrokenPromiseError if a promise is broken.
        """
        service = Told(told)
        flash = PowerFlash(self.board.geometry, durable, told=service.now, flaws=flaws, worn=self.worn, asked=asked)
        witness = Witness(self.board.supply, self.legal, self.floor)
        machine = Machine(flash, self.board.supply, witness, service)
        machine.live(self.wish)
        flash.end()
        self._check_end(machine, witness, flash)
        if not self.outcomes <= service.outcomes:
            raise BrokenPromiseError(Breach.NOT_CONVERGED, "the service was not told what came of its offer")
        self._check_counter(flash.without_power(), witness.running)
        return flash

    def cut_twice(self) -> Case:
        """The same where the power goes twice: a trial that had lost a start may have lost all three then."""
        return replace(self, final=None, outcomes=frozenset()) if self.has_lost_a_start else self

    def insisting(self) -> Case:
        """The same where a good offer that failed is made again, and nobody counts on being told of the first."""
        return replace(self, wish=replace(self.wish, insists=self.is_good), outcomes=frozenset())

    def _check_end(self, machine: Machine, witness: Witness, flash: PowerFlash) -> None:
        if self.final not in (None, witness.running):
            raise BrokenPromiseError(
                Breach.NOT_CONVERGED, f"{described(witness.running)} runs in the end and is not what is wanted"
            )
        configuration = load_configuration(flash)
        if self.wish.configuration not in (None, configuration):
            raise BrokenPromiseError(Breach.NOT_CONVERGED, "the configuration is not the one that is wanted")
        signers = len(configuration.trusted_os_certificates)
        if signers != self.os_signers:
            raise BrokenPromiseError(
                Breach.NOT_CONVERGED, f"{signers} keys may sign the OS, expected {self.os_signers}"
            )
        kept = machine.installer.record.regions_in_use
        left = [name for prefix in _PACKAGES for name in flash.regions(prefix) if name not in kept]
        if left:
            raise BrokenPromiseError(Breach.NOT_CONVERGED, f"packages that nothing names: {', '.join(left)}")

    def _check_counter(self, flash: PowerFlash, running: Contents) -> None:
        """Raise BrokenPromiseError if older software could start again; known where the flash was the same before."""
        known = self.board.supply.counter_checks
        reached = max(version for part, version in running if isinstance(part, str))
        beginning = (self.legal, reached)
        ending = known.find(beginning, flash.ask)
        if ending is None:
            asked = Asked(flash.medium.durable)
            ending = self._roll_back(PowerFlash(self.board.geometry, flash.medium.durable, asked=asked), reached)
            known.learn(beginning, asked.answers, ending)
            for question, _ in asked.answers:
                flash.ask(question)
        if ending.broken is not None:
            raise ending.broken

    def _roll_back(self, flash: PowerFlash, reached: int) -> Ending:
        """Put genuine OS components of an older security version into the flash: none of them may start any more."""
        supply = self.board.supply
        for region in flash.regions("boot"):
            genuine = supply.genuine.get(flash.read(region) or b"")
            if genuine is not None:
                flash.write(region, supply.os_components(older_os(reached))[str(genuine.part)])
        witness = Witness(supply, self.legal, security_version(reached))
        try:
            Machine(flash, supply, witness, Told()).power_on()
        except BrokenPromiseError as error:
            if error.breach is not Breach.BRICK:  # that it does not boot is what is wanted here
                return Ending(error)
        return Ending()


def prepare(transaction: Transaction, board: Board) -> Case:
    """The case of a transaction: manufactures a device and brings it to where the transaction begins."""
    supply, regions, had = board.supply, manufacture(board), Bundle(os=FIRST_OS)
    legal = {contents(board, had)}
    for number, bundle in enumerate(transaction.before, 1):
        now = replace(bundle, os=bundle.os or had.os)
        legal.add(contents(board, now))
        installed = Case(
            board=board,
            name=transaction.name,
            start=regions,
            wish=wish_for(supply, number, bundle),
            legal=frozenset(legal),
            final=contents(board, now),
        )
        regions, had = dict(installed.live(regions).medium.durable), now
    wanted = transaction.wanted
    case = Case(
        board=board,
        name=transaction.name,
        start=regions,
        wish=_wish(supply, transaction),
        legal=_legal(board, transaction, had),
        final=_final(board, transaction, had),
        outcomes=_expected(supply, had, wanted, transaction.outcome),
        floor=security_version(had.os) if transaction.before else 0,
        os_signers=2 if wanted and wanted.key_store and transaction.stays else 1,
        is_good=transaction.stays is True,
        worn=transaction.worn,
        has_lost_a_start=transaction.booted,
    )
    if transaction.switched:
        regions = _switched(case, booted=transaction.booted)
    if transaction.spoil is not None:
        transaction.spoil(regions)
    return replace(case, start=regions)


def manufacture(board: Board) -> Regions:
    """The flash of a device that was never started."""
    flash = PowerFlash(board.geometry, {})
    store_boot_components(flash, tuple(board.supply.os_components(FIRST_OS).items()))
    begin_state(flash, ManufacturingState.DEVICE_COMPLETE)
    store_configuration(flash, board.supply.configuration())
    return dict(flash.medium.durable)


def contents(board: Board, bundle: Bundle) -> Contents:
    """What runs of a bundle that says which OS it has."""
    components = board.supply.profile.boot_components
    return frozenset({(component.name, bundle.os) for component in components} | set(bundle.applications.items()))


def wish_for(
    supply: Supply,
    number: int,
    bundle: Bundle,
    *,
    crashing: Collection[int] = (),
    hanging: Collection[int] = (),
) -> Wish:
    """The offer of a bundle under this number; ``crashing`` and ``hanging`` are applications of it."""

    def images(chosen: Collection[int]) -> frozenset[UUID]:
        return frozenset(supply.application(each, bundle.applications[each]).image_id for each in chosen)

    return Wish(offer=supply.offer(number, bundle), crashing=images(crashing), hanging=images(hanging))


def _wish(supply: Supply, transaction: Transaction) -> Wish:
    wanted, recovered, root = transaction.wanted, transaction.recovered, transaction.root
    wish = Wish(
        configuration=None if root is None else supply.configuration(root=root),
        recovery=None if recovered is None else supply.recovery(recovered),
        boots=not transaction.dead,
    )
    if wanted is None:
        return wish
    new_os = frozenset({os_version(wanted.os)})
    offered = wish_for(supply, 1000, wanted, crashing=transaction.crashing, hanging=transaction.hanging)
    return replace(
        wish,
        offer=offered.offer,
        crashing=offered.crashing,
        hanging=offered.hanging,
        hanging_os=new_os if transaction.os_hangs else frozenset(),
        unattested=new_os if transaction.os_unattested else frozenset(),
    )


def _legal(board: Board, transaction: Transaction, had: Bundle) -> frozenset[Contents]:
    """Sets that may run on the way: the one before, the wanted one unless it is refused, and what damage leaves."""
    legal = {contents(board, replace(each, os=each.os or FIRST_OS)) for each in transaction.also}
    legal.add(contents(board, had))
    if transaction.spoil is not None:
        legal |= {contents(board, had) - {each} for each in had.applications.items()}
    if transaction.wanted is not None and transaction.outcome != "failed":
        legal.add(contents(board, replace(transaction.wanted, os=transaction.wanted.os or had.os)))
    if transaction.recovered is not None:
        legal |= {_recovered(board, each, transaction.recovered) for each in tuple(legal)}
    return frozenset(legal)


def _recovered(board: Board, running: Contents, recovered: Bundle) -> Contents:
    """What runs after a recovery: its OS, and the applications that ran."""
    applications = frozenset(each for each in running if not isinstance(each[0], str))
    return contents(board, Bundle(os=recovered.os)) | applications


def _final(board: Board, transaction: Transaction, had: Bundle) -> Contents | None:
    """What runs in the end; None where it is not said."""
    wanted = transaction.wanted
    if transaction.stays is None:
        return None
    if transaction.recovered is not None:
        return _recovered(board, contents(board, had), transaction.recovered)
    return contents(board, replace(wanted, os=wanted.os or had.os) if wanted and transaction.stays else had)


def _switched(case: Case, *, booted: bool) -> Regions:
    """The flash of a device that has switched to what is wanted, and perhaps ``booted`` it, when its power went."""
    service = Told()
    flash = PowerFlash(case.board.geometry, case.start, told=service.now)
    machine = Machine(flash, case.board.supply, Witness(case.board.supply, case.legal, case.floor), service)
    if machine.live_once(case.wish):
        raise AssertionError(f"{case.name}: expected a bundle that takes a restart")
    if booted:
        machine.power_on()
    return dict(flash.medium.durable)


def _expected(supply: Supply, had: Bundle, wanted: Bundle | None, outcome: str) -> frozenset[object]:
    """(image, outcome) of each image that the wanted bundle adds; of each that is removed if it adds none."""
    if wanted is None or not outcome:
        return frozenset()
    new = [each for each in wanted.applications.items() if each not in had.applications.items()]
    images = [supply.application(*each, signed=wanted.signed, needs_abi=wanted.needs_abi) for each in new]
    if wanted.os not in (0, had.os):
        images += supply.os_images(wanted.os, wanted.signer)
    if not images:
        images = [supply.application(*each) for each in had.applications.items() if each[0] not in wanted.applications]
    return frozenset((image.image_id, outcome) for image in images)
