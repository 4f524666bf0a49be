# SPDX-License-Identifier: Apache-2.0
"""Where in an update a machine is, by its console; and when power goes."""

from __future__ import annotations

from collections import Counter

from armillary.device_image.power.phases import CUT, CheckedIn, Phase, checked_in, cut_of, phase_after

UPDATE = (
    ("armillary: 2026-11-29 08:26:10  update-offered  offer_id=288a os_version=27.5", Phase.WRITE),
    ("armillary: 2026-11-29 08:26:12  delta-used  name=root-fs", Phase.WRITE),
    ("armillary: 2026-11-29 08:26:22  update-started  offer_id=288a", Phase.STOP),
    ("armillary: 2026-11-29 08:26:22  restarting  slot=a", Phase.STOP),
    ("armillary: restarting", Phase.FIRMWARE),
    ('BdsDxe: loading Boot0001 "Armillary slot a"', Phase.FIRMWARE),
    ("armillary: slot a, verified root from /dev/vda2", Phase.START),
    ("armillary: 2026-11-29 08:27:11  booted  boot_count=4  log_head=1d52", Phase.TRIAL),
    ("armillary: 2026-11-29 08:27:22  check-in  verdict=attested  purpose=client  offered=nothing", Phase.TRIAL),
    ("armillary: 2026-11-29 08:27:22  update-confirmed  images=[]", Phase.CONFIRM),
)


def test_the_console_of_an_update_goes_through_all_phases() -> None:
    phase = Phase.IDLE
    for line, wanted in UPDATE:
        phase = phase_after(phase, line)
        assert phase is wanted, line


def test_a_start_that_no_update_made_begins_no_phase() -> None:
    for line in (
        "armillary: slot a, verified root from /dev/vda2",
        "armillary: 2026-11-29 08:27:11  booted  boot_count=4",
    ):
        assert phase_after(Phase.RECOVERY, line) is Phase.RECOVERY


def test_an_update_that_is_taken_back_is_none_any_more() -> None:
    assert phase_after(Phase.TRIAL, "armillary: 2026-11-29 08:27:11  update-reverted  reason=no") is Phase.IDLE


def test_every_phase_is_cut_as_often_and_at_other_instants() -> None:
    cuts = [cut_of(3, number) for number in range(10 * len(CUT))]
    assert Counter(cut.phase for cut in cuts) == dict.fromkeys(CUT, 10)
    assert len({cut.share for cut in cuts}) == len(cuts)
    assert all(0 <= cut.share < 1 for cut in cuts)


def test_the_same_seed_plans_the_same_cuts() -> None:
    assert [cut_of(3, number) for number in range(30)] == [cut_of(3, number) for number in range(30)]
    assert [cut_of(3, number) for number in range(30)] != [cut_of(4, number) for number in range(30)]


def test_what_a_check_in_said() -> None:
    line = "armillary: 2026-11-29 08:27:22  check-in  verdict=attested  purpose=client  failed_steps=[]  "
    for nothing in ("offered=nothing", "offered=directive", "offer_id=None"):
        assert checked_in(line + nothing) == CheckedIn("attested", has_offer=False)
    for offer in ("offered=288ab629", "offer_id=288ab629"):
        assert checked_in(line + offer) == CheckedIn("attested", has_offer=True)
    assert checked_in("armillary: 2026-11-29 08:27:22  check-in-failed  code=x") is None
