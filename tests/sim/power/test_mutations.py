# SPDX-License-Identifier: Apache-2.0
"""One thing broken in the installer, its rules, the boot or the flash port: cutting the power finds each, and soon.

The control: the product as it is goes through the same cuts and breaks no promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from tests.sim.power.mutation import broken

from armillary import content
from armillary.boot import chain, profile
from armillary.device.applications import admission
from armillary.device.boot import recovery, startup
from armillary.device.install import installer, os_components, trust_stores
from armillary.engines.flash import port
from armillary.sim.power import geometry
from armillary.sim.power.campaign import Effort, search
from armillary.sim.power.case import Board, Case, prepare
from armillary.sim.power.supply import Supply
from armillary.sim.power.tally import Tally
from armillary.sim.power.transactions import TRANSACTIONS
from armillary.sim.power.witness import BrokenPromiseError
from armillary.update.install import plan, record, starting, steps, trial
from armillary.update.install.starting import TABLE, Situation, StartEffect, StartEvent
from armillary.update.install.transaction import TRANSITIONS, InstallEvent, InstallState

CUTS_LIMIT = 500  # the longest transaction has some thousand single cuts; the first fault shows much sooner


@dataclass(frozen=True)
class Mutation:
    """``new`` stands where ``module`` has ``old``; cutting ``transaction`` on ``flash`` shows it."""

    what: str
    module: ModuleType
    old: str
    new: str
    transaction: str = "install"
    flash: str = "nvme"


MUTATIONS = (
    # The flash port.
    Mutation("nothing is synced", port, "        flash.sync(region)\n", ""),
    Mutation("nothing is read back", port, "if flash.read(region) == data:", "if region:", "roots"),
    Mutation(
        "a region is replaced in place",
        port,
        "    store_region(flash, fresh, data)\n    flash.rename(fresh, region)\n",
        "    store_region(flash, region, data)\n",
        "roots",
    ),
    Mutation(
        "a region is renamed before it is synced",
        port,
        "    store_region(flash, fresh, data)\n    flash.rename(fresh, region)\n",
        "    flash.write(fresh, data)\n    flash.rename(fresh, region)\n    flash.sync(region)\n",
        "roots",
    ),
    # The installer.
    Mutation(
        "a package is kept and not synced",
        installer,
        "store_region(self._flash, fetched_region(image), data)",
        "self._flash.write(fetched_region(image), data)",
        "os",
    ),
    Mutation(
        "the record in force is overwritten",
        installer,
        "        self._next_copy = 1 - self._next_copy\n",
        "",
    ),
    Mutation(
        "the record is written and not synced",
        installer,
        "store_region(self._flash, RECORD_REGIONS[self._next_copy], encode(record, self._next_sequence))",
        "self._flash.write(RECORD_REGIONS[self._next_copy], encode(record, self._next_sequence))",
    ),
    Mutation(
        "the previous set is freed during the trial",
        installer,
        "in_use = self._record.regions_in_use",
        "in_use = frozenset(image.region for image in self._record.active)",
        "hang",
    ),
    Mutation(
        "slots are freed before the set is confirmed",
        installer,
        "        self._write(steps.confirm(self._record, now=self._now()))\n"
        "        self.state = advance(self.state, InstallEvent.CONFIRMED)\n"
        "        self._collect()\n",
        "        self._collect()\n"
        "        self._write(steps.confirm(self._record, now=self._now()))\n"
        "        self.state = advance(self.state, InstallEvent.CONFIRMED)\n",
    ),
    Mutation(
        "damaged packages are not looked for",
        installer,
        "        return False\n        return True",
        "        pass\n        return True",
        "repair",
    ),
    # The install record.
    Mutation("the older record is in force", record, "newest = max(readable", "newest = min(readable", "hang"),
    Mutation(
        "a torn record counts",
        record,
        "    if crc != zlib.crc32(",
        "    if not crc and crc != zlib.crc32(",
        "revert",
        "slc-nand",
    ),
    Mutation(
        "one damaged record copy is an error",
        record,
        "    if readable:\n",
        "    if len(readable) == 2:\n",
        "one-record",
    ),
    Mutation(
        "slot a boots whatever the record says",
        record,
        "if i.kind is Kind.OS and i.name.lower() == name.lower()), SLOTS[0])",
        "if i.kind is Kind.TRUST and i.name == name), SLOTS[0])",
        "os",
    ),
    Mutation(
        "the way back is freed",
        record,
        "(kept if self.way_back is None else kept + self.way_back.images)",
        "kept",
        "os-way-back",
    ),
    Mutation(
        "the counter rises during the trial",
        record,
        "return self.trial is not None and system_of(self.active) != system_of(self.trial.previous)",
        "return self.trial is not None and not self.active",
        "os-breaks-application",
    ),
    # The plan and the steps.
    Mutation(
        "new packages go over those that run",
        plan,
        "return _slot_image(image, other_slot(in_use), place)",
        "return _slot_image(image, in_use, place)",
    ),
    Mutation(
        "a revert keeps the new set",
        steps,
        "        active=trial.previous,\n",
        "        active=record.active,\n",
        "os-hangs",
    ),
    Mutation(
        "what failed is tried again",
        steps,
        "_remembered(record.rejected, trial.rejection_key) if bars else record.rejected",
        "record.rejected",
        "revert",
    ),
    Mutation(
        "an outcome is forgotten",
        steps,
        '        outcomes=_with_ended(record, trial, "confirmed", "", now),\n',
        "",
        "os",
    ),
    Mutation(
        "a confirmed OS has no way back",
        steps,
        "way_back=WayBack(previous, trial.previous_os) if changed else record.way_back",
        "way_back=None",
        "os-way-back",
    ),
    Mutation(
        "the way back stays in force while it is overwritten",
        steps,
        "return replace(record, active=active, way_back=None)",
        "return record",
        "os-again",
    ),
    # The first stage.
    Mutation(
        "a start is not counted",
        starting,
        "starts_left=trial.starts_left - 1",
        "starts_left=trial.starts_left",
        "os-hangs",
    ),
    Mutation(
        "starts are counted after the boot",
        startup,
        "    stays = installer.count_start(functools.partial(verify_chain, flash, configuration, root_of_trust, stage))\n",
        '    stays = ""\n',
        "os-hangs",
    ),
    Mutation(
        "a trial has no end",
        starting,
        "return Situation.TRYING if record.trial.starts_left > 0 else Situation.EXHAUSTED",
        "return Situation.TRYING",
        "hang",
    ),
    Mutation(
        "a refused boot does not end its trial",
        starting,
        "        return replace(taken_back, way_back=record.way_back)  # what was refused is none\n",
        "        return None\n",
        "os-damaged-on-trial",
    ),
    Mutation(
        "a damaged OS has no way back",
        starting,
        "return StartEvent.REFUSED_LAST if record.way_back is None else StartEvent.REFUSED_OLD",
        "return StartEvent.REFUSED_LAST",
        "os-way-back",
    ),
    # Confirmation, and the counter.
    Mutation(
        "a refused attestation keeps the OS",
        trial,
        "    if refusal is not None:\n",
        "    if refusal is not None and now < 0:\n",
        "os-unattested",
    ),
    Mutation(
        "an application that crashes stays",
        trial,
        "if exits < rules.exits_allowed:",
        "if exits < 99:",
        "os-breaks-application",
    ),
    Mutation(
        "the counter is not raised",
        startup,
        "if dict(raised) != dict(minimums):",
        "if not minimums and raised is None:",
        "os",
    ),
    Mutation(
        "the counter is not asked",
        chain,
        "if package.security_version < minimum_security_version:",
        "if package.security_version < 0:",
        "os",
    ),
    # Checks.
    Mutation(
        "the OS is not verified",
        chain,
        "package = image_package.verify(unverified, trusted, begun)",
        "package = unverified",
        "os-foreign",
    ),
    Mutation(
        "the OS is not verified before it is written",
        os_components,
        "    if not plan.restarts:\n        return\n",
        "    if plan:\n        return\n",
        "os-foreign",
    ),
    Mutation(
        "applications are not verified",
        admission,
        "package = image_package.verify(image_package.parse(data), trusted)",
        "package = image_package.parse(data)",
        "refuse",
    ),
    Mutation("the ABI of the OS is not asked", admission, "os_abi not in wanted", "os_abi < 0", "os-abi"),
    Mutation(
        "a new key store is not in force",
        trust_stores,
        "if image.kind is not Kind.TRUST or",
        "if image.kind is Kind.TRUST or",
        "key-store",
    ),
    Mutation(
        "a key store on trial is kept",
        trust_stores,
        "    if record.system_on_trial:\n        return\n    stored",
        "    stored",
        "key-store-revert",
    ),
    # Recovery by hand.
    Mutation(
        "components are recovered one after the other",
        recovery,
        "            store_region(flash, _stored(name), package)\n",
        "            replace_region(flash, boot_region(name), package)\n",
        "recover-new-key",
    ),
    Mutation(
        "a recovery is decided before all of it is stored",
        recovery,
        "        if flash.read(boot_region(name)) != package:\n",
        "        decided = [encode_configuration(renewed), reply.repository_root, reply.time]\n"
        "        replace_region(flash, DECIDED, cbor.encode(decided))\n"
        "        if flash.read(boot_region(name)) != package:\n",
        "recover",
    ),
    Mutation(
        "a recovery is forgotten before it is carried out",
        recovery,
        "    Installer(flash, now).forget_system(_REASON)\n",
        "    flash.remove(DECIDED)\n    Installer(flash, now).forget_system(_REASON)\n",
        "recover-new-key",
    ),
)

S, E = InstallState, InstallEvent
# A restart is always from what the record says, and that is never one of these; nothing fails before it is fetched, no
# medium here loses a package between its reading back and its renaming (test_installer.py does), and a record that cannot
# be written is tried again.
# What fails its trial is kept only where the OS before it is damaged at the same time.
NOT_WALKED: set[object] = {(state, E.RESTARTED) for state in (S.FETCHED, S.STAGED)} | {
    *((state, E.FAILED) for state in (S.IDLE, S.FETCHED, S.STAGED)),
    (S.TRIAL, E.KEPT),
}
# A trial that is out of starts ends before its boot chain runs. A chain that no trial brought is refused during a trial
# only where two things are damaged at once.
NEVER_REFUSED = {
    (situation, event)
    for situation in Situation
    for event in StartEvent
    if event is not StartEvent.START
    if situation is Situation.EXHAUSTED
    or TABLE[situation, event] is StartEffect.DEFECT
    or (situation is Situation.TRYING and event is not StartEvent.REFUSED_NEW)
}


def searched(transactions: Sequence[str], flash: str, *, most: int | None = None) -> Tally:
    """Every single cut of these transactions, and one after each flaw; ends with the first broken promise."""
    supply = Supply(profile.parse(content.chip_document("mt3620")))  # anew: it remembers what was verified
    board = Board(supply=supply, geometry=geometry.parse(content.flash_document(flash)))
    chosen = [each for each in TRANSACTIONS if each.name in transactions]
    return search(board, Effort(cuts=0, flaw_cuts=1, most=most, breaches=1), chosen)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_what_is_broken_is_found_and_the_same_cuts_break_nothing_else(mutation: Mutation) -> None:
    with broken(mutation.module, mutation.old, mutation.new):
        found = searched([mutation.transaction], mutation.flash)
    assert found.breaches.total() == 1
    assert found.cuts <= CUTS_LIMIT
    unbroken = searched([mutation.transaction], mutation.flash, most=found.cuts)
    assert not unbroken.failures
    assert unbroken.cuts == found.cuts


@pytest.mark.parametrize(("table", "not_walked"), [(TRANSITIONS, NOT_WALKED), (TABLE, NEVER_REFUSED)])
def test_every_row_of_a_state_table_is_needed(table: Any, not_walked: set[object], monkeypatch: Any) -> None:
    """Without it a device cannot live through its transactions: the search walks every row that can be walked."""
    board = Board(
        supply=Supply(profile.parse(content.chip_document("mt3620"))),
        geometry=geometry.parse(content.flash_document("nvme")),
    )
    cases = [prepare(each, board) for each in TRANSACTIONS]
    needless = set()
    for row in list(table):
        with monkeypatch.context() as without:
            without.delitem(table, row)
            if all(lives(case) for case in cases) and not searched(("remove", "os-damaged-on-trial"), "nvme").failures:
                needless.add(row)
    assert needless == not_walked


def lives(case: Case) -> bool:
    try:
        case.live(case.start)
    except (BrokenPromiseError, KeyError):
        return False
    return True
