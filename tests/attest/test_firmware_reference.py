# SPDX-License-Identifier: Apache-2.0
"""Which firmware is good: what is compared, what is said, until when, and that nothing is worked out twice."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.wire.tpm_samples import tcg_event, tcg_header

from armillary.attest import firmware_reference as rules
from armillary.attest.firmware_reference import (
    EVENT,
    FINAL,
    JUDGED_PCRS,
    FirmwareReference,
    FirmwareStatement,
    FirmwareValue,
    from_json,
    measured,
    statable,
    to_json,
)
from armillary.attest.reference import FOREVER
from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.attestation import tcg_event_log
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS

APPLICATION = 0x8000_0003
SEPARATOR = 0x04
NOW = 1_790_000_000
CHIP = "imx8mp"


def digest(name: str) -> bytes:
    return sha256(name.encode()).digest()


def firmware(*events: tuple[int, int, str]) -> FirmwareLog:
    """The log of a machine that measured these: PCR, event type, what."""
    log = tcg_header() + b"".join(tcg_event(pcr, kind, digest(what), what.encode()) for pcr, kind, what in events)
    replayed = tcg_event_log.replay(tcg_event_log.parse_log(log))
    return FirmwareLog(b"".join(replayed[pcr] for pcr in FIRMWARE_PCRS), log)


BOOT = (
    (0, 0x08, "firmware"),
    (1, 0x8000_0001, "boot order"),
    (2, SEPARATOR, "separator"),
    (4, SEPARATOR, "separator"),
    (4, APPLICATION, "boot loader"),
    (7, 0x8000_0001, "secure boot on"),
)
GOOD = firmware(*BOOT)


def changed(was: str, now: str) -> FirmwareLog:
    return firmware(*((pcr, kind, now if what == was else what) for pcr, kind, what in BOOT))


def reference(*, final: bool = False, expires_at: int | None = None) -> FirmwareReference:
    return FirmwareReference([FirmwareStatement(CHIP, statable(measured(GOOD), final=final), expires_at)])


@pytest.mark.parametrize("final", [False, True])
def test_the_firmware_that_was_taken_as_reference_is_good(final: bool):
    assert reference(final=final).fault(CHIP, GOOD, NOW) == ""


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize(("was", "pcr"), [("firmware", 0), ("boot loader", 4), ("secure boot on", 7)])
def test_a_change_in_a_judged_pcr_is_found(final: bool, was: str, pcr: int):
    said = reference(final=final).fault(CHIP, changed(was, "another"), NOW)
    assert said.startswith(f"PCR {pcr} ({JUDGED_PCRS[pcr]}): ")
    assert said.count("PCR") == 1


def test_the_words_name_pcr_event_digest_and_what_was_expected():
    assert reference().fault(CHIP, changed("boot loader", "another"), NOW) == (
        f"PCR 4 (boot loader): event 2 of 2 (EV_EFI_BOOT_SERVICES_APPLICATION) measured {digest('another').hex()}; "
        f"expected {digest('boot loader').hex()[:16]}..."
    )
    values = dict(zip(FIRMWARE_PCRS, (GOOD.pcr_values[at : at + 32] for at in range(0, 256, 32)), strict=True))
    other = changed("boot loader", "another")
    assert reference(final=True).fault(CHIP, other, NOW) == (
        f"PCR 4 (boot loader): holds {other.pcr_values[128:160].hex()}; expected {values[4].hex()[:16]}..."
    )


def test_what_differs_between_equal_machines_is_not_judged():
    assert reference().fault(CHIP, changed("boot order", "another order"), NOW) == ""


def test_measurements_may_come_in_another_order_and_final_values_may_not():
    swapped = firmware(*BOOT[:3], BOOT[4], BOOT[3], BOOT[5])
    assert reference().fault(CHIP, swapped, NOW) == ""
    assert "PCR 4" in reference(final=True).fault(CHIP, swapped, NOW)


def test_a_pcr_that_holds_no_measurement_is_no_good_one():
    """Firmware that measures nothing would pass "each of its measurements is stated" else."""
    silent = firmware(*(event for event in BOOT if event[0] != 4))
    said = reference().fault(CHIP, silent, NOW)
    assert said.startswith(
        f"PCR 4 (boot loader): nothing was measured, its value is {bytes(32).hex()}; expected nothing"
    )
    assert "PCR 0" in reference().fault(CHIP, firmware(), NOW)


def test_a_machine_that_measures_nothing_into_a_pcr_is_taken_with_its_final_value():
    quiet = firmware(*(event for event in BOOT if event[0] != 2))
    taken = statable(measured(quiet), final=False)
    assert [value for value in taken if value.pcr == 2] == [FirmwareValue(FINAL, 2, bytes(32))]
    mine = FirmwareReference([FirmwareStatement(CHIP, taken)])
    assert mine.fault(CHIP, quiet, NOW) == ""
    assert "PCR 2" in mine.fault(CHIP, GOOD, NOW)


def test_a_device_that_sends_no_log_does_not_slip_through():
    assert reference().fault(CHIP, None, NOW) == (
        "This catalog states which firmware is good on chip imx8mp; the device sent no log of its firmware that replays "
        "and fits a check-in."
    )


def test_a_chip_for_which_nothing_is_stated_is_as_before():
    assert reference().fault("mt3620", changed("firmware", "another"), NOW) == ""
    assert reference().fault("mt3620", None, NOW) == ""


def test_values_end_and_the_latest_end_counts():
    ending = reference(expires_at=NOW)
    assert ending.fault(CHIP, GOOD, NOW - 1) == ""
    assert ending.fault(CHIP, GOOD, NOW) == (
        "The reference values for PCR 0 (firmware) were good until 2026-09-21 14:13 UTC; that is over."
    )
    taken = statable(measured(GOOD), final=False)
    both = FirmwareReference([FirmwareStatement(CHIP, taken, NOW), FirmwareStatement(CHIP, taken, None)])
    assert both.fault(CHIP, GOOD, FOREVER - 1) == ""
    loader = tuple(value for value in taken if value.pcr == 4)
    rest = tuple(value for value in taken if value.pcr != 4)
    mixed = FirmwareReference([FirmwareStatement(CHIP, loader, NOW), FirmwareStatement(CHIP, rest)])
    assert "PCR 4 (boot loader) were good until" in mixed.fault(CHIP, GOOD, NOW)


def test_a_machine_is_judged_once(monkeypatch: pytest.MonkeyPatch):
    mine = reference()
    assert mine.fault(CHIP, GOOD, NOW) == ""
    bad = changed("boot loader", "another")
    said = mine.fault(CHIP, bad, NOW)
    monkeypatch.setattr(rules, "measured", lambda _: pytest.fail("worked out again"))
    assert (mine.fault(CHIP, GOOD, NOW), mine.fault(CHIP, bad, NOW)) == ("", said)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rules, "MAX_KNOWN", 3)
    mine = reference()
    for number in range(10):
        mine.fault(CHIP, changed("boot loader", f"loader {number}"), NOW)
    assert len(mine._known) == 3


def test_a_fault_fits_a_steps_detail_whatever_was_measured():
    everything = firmware(*((pcr, 0x8000_00E0, f"{number}") for pcr in JUDGED_PCRS for number in range(40)))
    said = reference().fault(CHIP, everything, NOW)
    assert len(said.encode()) <= rules.MAX_FAULT_BYTES
    assert "38 more of PCR 0 are unknown." in said


def test_a_log_that_does_not_replay_measures_nothing():
    edited = FirmwareLog(GOOD.pcr_values, changed("boot loader", "another").log)
    with pytest.raises(WireError, match="a replay of PCR 4"):
        measured(edited)
    assert "a replay of PCR 4" in reference().fault(CHIP, edited, NOW)
    assert reference()._known == {}


def test_an_events_type_is_the_logs_word_and_decides_nothing():
    """The attacker can write any type into a log that replays: equal digests are equal, others stay unknown."""
    relabelled = firmware(*((pcr, 0x0D if kind == APPLICATION else kind, what) for pcr, kind, what in BOOT))
    assert relabelled.pcr_values == GOOD.pcr_values
    assert reference().fault(CHIP, relabelled, NOW) == ""
    evil = firmware(*((pcr, SEPARATOR, "another" if what == "boot loader" else what) for pcr, _, what in BOOT))
    assert digest("another").hex() in reference().fault(CHIP, evil, NOW)


values = st.builds(
    lambda kind, pcr, content, event_type: FirmwareValue(kind, pcr, content, event_type if kind == EVENT else None),
    st.sampled_from([EVENT, FINAL]),
    st.sampled_from(sorted(JUDGED_PCRS)),
    st.binary(min_size=32, max_size=32),
    st.none() | st.integers(0, 2**32 - 1),
)


@given(st.lists(values, min_size=1, max_size=20, unique=True))
def test_the_json_form_gives_back_what_went_in(items: list[FirmwareValue]):
    assert from_json(to_json(items)) == tuple(items)


machines = st.lists(
    st.tuples(
        st.sampled_from(FIRMWARE_PCRS), st.sampled_from([SEPARATOR, APPLICATION, 0x0D]), st.sampled_from("abcdef")
    ),
    max_size=12,
)


@given(machines, machines, st.booleans())
def test_good_is_exactly_what_the_statement_says(one: Any, other: Any, final: bool):
    taken = statable(measured(firmware(*one)), final=final)
    stated = {(value.kind, value.pcr, value.digest) for value in taken}
    found = measured(firmware(*other))
    good = all(
        (FINAL, pcr, next(v.digest for v in found if (v.kind, v.pcr) == (FINAL, pcr))) in stated
        or (
            any((v.kind, v.pcr) == (EVENT, pcr) for v in found)
            and all((EVENT, pcr, v.digest) in stated for v in found if (v.kind, v.pcr) == (EVENT, pcr))
        )
        for pcr in JUDGED_PCRS
    )
    said = FirmwareReference([FirmwareStatement(CHIP, taken)]).fault(CHIP, firmware(*other), NOW)
    assert (said == "") is good
    assert FirmwareReference([FirmwareStatement(CHIP, taken)]).fault(CHIP, firmware(*one), NOW) == ""


BAD: dict[str, Any] = {
    "no list": {},
    "an empty list": [],
    "too many": [{"pcr": 4, "digest": "00" * 32}] * (rules.MAX_VALUES + 1),
    "no object": [1],
    "an unknown field": [{"pcr": 4, "digest": "00" * 32, "why": "x"}],
    "no pcr": [{"digest": "00" * 32}],
    "a PCR that is not judged": [{"pcr": 1, "digest": "00" * 32}],
    "a truth for a number": [{"pcr": False, "digest": "00" * 32}],
    "a short digest": [{"pcr": 4, "digest": "00" * 31}],
    "a digest with a space": [{"pcr": 4, "digest": "00" * 31 + " 0"}],
    "no digest": [{"pcr": 4}],
    "an unknown kind": [{"kind": "event", "pcr": 4, "digest": "00" * 32}],
    "an unknown type": [{"pcr": 4, "digest": "00" * 32, "event_type": "EV_X"}],
    "a type that is too large": [{"pcr": 4, "digest": "00" * 32, "event_type": "0x100000000"}],
    "a negative type": [{"pcr": 4, "digest": "00" * 32, "event_type": -1}],
    "a final value with a type": [{"kind": FINAL, "pcr": 4, "digest": "00" * 32, "event_type": "EV_IPL"}],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_reference_value_is_refused(name: str):
    with pytest.raises(InvalidArgumentError) as refused:
        from_json(BAD[name])
    assert refused.value.remedy


def with_loaders(*loaders: str, final: bool = False, until: int = NOW + 60) -> FirmwareReference:
    stated = [FirmwareStatement(CHIP, statable(measured(GOOD), final=final))]
    return FirmwareReference(stated, {CHIP: {(EVENT, digest(each)): until for each in loaders}})


def test_the_loader_of_a_release_is_good_beside_the_stated_one():
    updated = changed("boot loader", "of 26.12")
    known = with_loaders("of 26.12", "of 26.13")
    assert known.fault(CHIP, GOOD, NOW) == ""
    assert known.fault(CHIP, updated, NOW) == ""
    assert "good until" in known.fault(CHIP, updated, NOW + 60)
    said = known.fault(CHIP, changed("boot loader", "of a stranger"), NOW)
    assert said.startswith("PCR 4 (boot loader): ")
    assert said.endswith(f"It is the boot loader of no release of {CHIP} that is in force.")
    assert with_loaders().fault(CHIP, updated, NOW), "control"


@pytest.mark.parametrize("what", ["firmware", "secure boot on"])
def test_the_loader_of_a_release_is_good_in_its_own_pcr_only(what: str):
    assert with_loaders("of 26.12").fault(CHIP, changed(what, "of 26.12"), NOW)


def test_final_values_stay_as_strict_as_they_are():
    assert with_loaders("of 26.12", final=True).fault(CHIP, changed("boot loader", "of 26.12"), NOW)


def test_releases_alone_state_nothing():
    for kind in (EVENT, FINAL):
        assert FirmwareReference([], {CHIP: {(kind, digest("of 26.12")): NOW}}).fault(CHIP, GOOD, NOW) == ""


def test_a_release_whose_final_value_is_known_is_good_where_final_values_are_stated():
    updated = changed("boot loader", "of 26.12")
    (value,) = (each.digest for each in measured(updated) if (each.kind, each.pcr) == (FINAL, 4))
    loaders = {CHIP: {(FINAL, value): NOW + 60}}
    stated = [FirmwareStatement(CHIP, statable(measured(GOOD), final=True))]
    known = FirmwareReference(stated, loaders)
    assert known.fault(CHIP, GOOD, NOW) == ""
    assert known.fault(CHIP, updated, NOW) == ""
    assert "good until" in known.fault(CHIP, updated, NOW + 60)
    said = known.fault(CHIP, changed("boot loader", "of a stranger"), NOW)
    assert said.startswith("PCR 4 (boot loader): holds ")
    assert said.endswith(f"It is the boot loader of no release of {CHIP} that is in force.")
    events = [FirmwareStatement(CHIP, statable(measured(GOOD), final=False))]
    assert FirmwareReference(events, loaders).fault(CHIP, updated, NOW), "measurements are stated, and no final value"
