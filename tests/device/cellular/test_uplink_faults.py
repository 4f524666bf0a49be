# SPDX-License-Identifier: Apache-2.0
"""The uplink with modems that lie or talk without end, and with flash that fails: no SIM is blocked, no thread ends."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from tests.device.cellular.played_modem import FailingFlash, PlayedModem, uplink_of
from tests.fixtures.waiting import wait_until

from armillary.device.cellular.states import UplinkState
from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.uplink import CellularUplink
from armillary.engines.flash.file import FileFlash
from armillary.engines.modem.port import ModemStoppedError
from armillary.wire.modem.radio import Registration, SimState

S = UplinkState
PIN = "7391"
SCALE = 0.02


@pytest.fixture
def flash(tmp_path: Path) -> FailingFlash:
    return FailingFlash(tmp_path / "flash")


@contextlib.contextmanager
def running(uplink: CellularUplink) -> Iterator[CellularUplink]:
    uplink.start()
    try:
        yield uplink
    finally:
        uplink.stop()


def states_of(uplink: CellularUplink) -> list[UplinkState]:
    """Each state that it comes to from now on."""
    seen = [uplink.status.state]

    def hear(status: UplinkStatus) -> None:
        if status.state is not seen[-1]:
            seen.append(status.state)

    uplink.listen(hear)
    return seen


def reached(uplink: CellularUplink, state: UplinkState) -> None:
    wait_until(lambda: uplink.status.state is state, f"{state}")


def test_a_modem_that_takes_every_pin_and_wants_it_again_gets_it_once(flash: FailingFlash) -> None:
    modem = PlayedModem(lambda: SimState.PIN)
    uplink = uplink_of(modem, flash, SCALE)
    seen = states_of(uplink)
    uplink.change({"pin": PIN})
    before = flash.written
    with running(uplink):
        wait_until(lambda: seen.count(S.PIN_REFUSED) == 1, "it is refused")
        assert flash.written - before == 1  # the mark
        uplink.change({"roaming": True})
        wait_until(lambda: seen.count(S.PIN_REFUSED) == 2, "it is still refused")
    with running(uplink_of(modem, flash, SCALE)) as again:  # the device starts again
        reached(again, S.PIN_REFUSED)
    assert modem.pins == [PIN]


def test_a_pin_that_one_sim_refused_is_not_forgiven_because_another_one_is_ready(flash: FailingFlash) -> None:
    modem = PlayedModem(lambda: SimState.PIN)
    uplink = uplink_of(modem, flash, SCALE)
    seen = states_of(uplink)
    uplink.change({"pin": PIN})
    with running(uplink):
        reached(uplink, S.PIN_REFUSED)
        modem.sim_says = lambda: SimState.MISSING
        uplink.change({"roaming": True})
        reached(uplink, S.SIM_MISSING)
        modem.sim_says = lambda: SimState.READY  # another one, without a PIN
        uplink.change({"roaming": False})
        reached(uplink, S.CONNECTED)
        modem.sim_says = lambda: SimState.PIN
        refused = seen.count(S.PIN_REFUSED)
        uplink.change({"roaming": True})
        wait_until(lambda: seen.count(S.PIN_REFUSED) > refused, "the first one is still refused")
    assert modem.pins == [PIN]


def test_a_sim_that_is_ready_some_time_after_its_pin_may_have_it_again(flash: FailingFlash) -> None:
    answers = iter([SimState.PIN, SimState.PIN, SimState.UNKNOWN, SimState.PIN])
    modem = PlayedModem(lambda: next(answers, SimState.READY))
    uplink = uplink_of(modem, flash, SCALE)
    seen = states_of(uplink)
    uplink.change({"pin": PIN})
    with running(uplink):
        reached(uplink, S.CONNECTED)
    assert modem.pins == [PIN]
    assert S.PIN_REFUSED not in seen
    assert not uplink.configuration.settings.pin_is_used


def test_a_sim_that_was_given_up_and_is_ready_later_may_have_its_pin_again(flash: FailingFlash) -> None:
    modem = PlayedModem(lambda: SimState.PIN)
    uplink = uplink_of(modem, flash, SCALE)
    uplink.change({"pin": PIN})
    with running(uplink):
        reached(uplink, S.PIN_REFUSED)
        modem.sim_says = lambda: SimState.READY
        reached(uplink, S.CONNECTED)
    assert not uplink.configuration.settings.pin_is_used


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(list(SimState)), max_size=30))
def test_whatever_a_sim_says_it_gets_no_second_pin_before_it_took_the_first(said: list[SimState]) -> None:
    """Three wrong ones block it."""
    modem, answers, is_over = PlayedModem(), iter(said), threading.Event()
    pins_at_ready = [0]
    modem.refuses_sessions = True  # so that the SIM is asked again and again

    def answer() -> SimState:
        found = next(answers, None)
        if found is None:
            is_over.set()
            raise ModemStoppedError("nothing more is said")
        if found is SimState.READY:
            pins_at_ready.append(len(modem.pins))
        return found

    modem.sim_says = answer
    with tempfile.TemporaryDirectory() as folder:
        uplink = uplink_of(modem, FileFlash(Path(folder)), 0.0)
        uplink.change({"pin": PIN})
        with running(uplink):
            assert is_over.wait(30.0)
    assert all(after - before <= 1 for before, after in pairwise([*pins_at_ready, len(modem.pins)]))


def test_flash_that_takes_no_mark_keeps_the_pin_back_and_the_uplink_goes_on_when_it_does(flash: FailingFlash) -> None:
    modem = PlayedModem()
    modem.sim_says = lambda: SimState.READY if modem.pins else SimState.PIN
    uplink = uplink_of(modem, flash, SCALE)
    uplink.change({"pin": PIN})
    flash.is_full = True
    with running(uplink):
        reached(uplink, S.LOST)
        assert "No space left" in uplink.status.sentence
        assert modem.pins == []
        flash.is_full = False
        reached(uplink, S.CONNECTED)
    assert modem.pins == [PIN]
    assert not uplink.configuration.settings.pin_is_used


def test_a_pin_that_was_taken_while_the_flash_fails_hinders_no_session_and_is_noted_later(flash: FailingFlash) -> None:
    modem = PlayedModem()

    def answer() -> SimState:
        flash.is_full = bool(modem.pins)
        return SimState.READY if modem.pins else SimState.PIN

    modem.sim_says = answer
    uplink = uplink_of(modem, flash, SCALE)
    uplink.change({"pin": PIN})
    with running(uplink):
        wait_until(lambda: uplink.status.is_up and uplink.status.reason, "the fault is said")
        assert uplink.configuration.settings.pin_is_used
        flash.is_full = False
        wait_until(lambda: not uplink.status.reason, "it is over")
        assert uplink.status.is_up
        assert not uplink.configuration.settings.pin_is_used
    assert modem.sessions == 1


@pytest.mark.parametrize("is_up", [False, True])
def test_flash_that_gives_no_settings_ends_no_session_and_no_thread(flash: FailingFlash, *, is_up: bool) -> None:
    modem = PlayedModem()
    uplink = uplink_of(modem, flash, SCALE)
    flash.is_unreadable = not is_up
    with running(uplink):
        if is_up:
            reached(uplink, S.CONNECTED)
            flash.is_unreadable = True
        wait_until(lambda: "Input/output error" in uplink.status.reason, "the fault is said")
        assert uplink.status.is_up == is_up
        flash.is_unreadable = False
        wait_until(lambda: uplink.status.is_up and not uplink.status.reason, "it is over")
    assert modem.sessions == 1


@pytest.mark.parametrize(
    ("registration", "counted"),
    [(Registration.HOME, "sessions"), (Registration.IDLE, "searches"), (Registration.DENIED, "looks")],
)
def test_a_network_that_refuses_and_then_signals_something_is_tried_no_sooner(
    flash: FailingFlash, registration: Registration, counted: str
) -> None:
    """It speaks five times in each second of waits of 1, 2, 4 s and more, and fifty times in all."""
    modem = PlayedModem()
    modem.registration_is, modem.refuses_sessions, modem.is_talkative = registration, True, True
    with running(uplink_of(modem, flash, 0.05)):
        wait_until(lambda: modem.said >= 50, "it has said much")
    assert 1 <= getattr(modem, counted) <= 10


def test_a_change_ends_such_a_wait(flash: FailingFlash) -> None:
    modem = PlayedModem()
    modem.registration_is, modem.is_talkative = Registration.DENIED, True
    uplink = uplink_of(modem, flash, 1.0)
    with running(uplink):
        reached(uplink, S.DENIED)  # for 30 s
        modem.registration_is = Registration.HOME
        began_at = time.monotonic()
        uplink.change({"roaming": False})
        reached(uplink, S.CONNECTED)
        assert time.monotonic() - began_at < 20.0


def test_what_a_modem_says_has_a_session_looked_at_at_once(flash: FailingFlash) -> None:
    modem = PlayedModem()
    uplink = uplink_of(modem, flash, 1.0)
    with running(uplink):
        reached(uplink, S.CONNECTED)
        modem.session_is_up = lambda: False  # type: ignore[method-assign]
        modem.talk()
        reached(uplink, S.LOST)  # and not after 30 s
