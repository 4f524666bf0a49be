# SPDX-License-Identifier: Apache-2.0
"""The AT engine at a pseudo-terminal, with the simulated modem and with worse ones."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from armillary.engines.modem import at, channel
from armillary.engines.modem.at import open_at_modem
from armillary.engines.modem.opening import VIRTUAL_PORT, find_modem, open_node
from armillary.engines.modem.port import (
    AccessPoint,
    ModemGoneError,
    ModemRefusedError,
    ModemStoppedError,
    Reception,
)
from armillary.engines.modem.waking import Waking
from armillary.sim.modem.modem import ICCID, IMEI, MAKER, MODEL, SimulatedModem
from armillary.sim.modem.radio import Radio
from armillary.sim.modem.serving import ServedModem, TerminalLine
from armillary.wire.modem.radio import Registration, SimState, Technology


@pytest.fixture
def waking() -> Iterator[Waking]:
    found = Waking()
    yield found
    found.close()


@pytest.fixture
def line() -> TerminalLine:
    return TerminalLine()


def served(line: TerminalLine, **radio: object) -> ServedModem:
    return ServedModem(SimulatedModem(Radio(**radio)), line)  # type: ignore[arg-type]


def test_what_the_port_asks_the_simulated_modem_answers(line: TerminalLine, waking: Waking) -> None:
    with served(line, signal_dbm=-95) as simulated, open_at_modem(line.path, waking) as modem:
        said = modem.identity()
        assert (said.maker, said.model, said.imei, said.iccid) == (MAKER, MODEL, IMEI, ICCID)
        assert modem.sim() is SimState.READY
        assert modem.registration().registration is Registration.HOME
        assert modem.reception() == Reception(operator="Armillary simulated", technology=Technology.LTE, dbm=-95)
        modem.attach(AccessPoint(name="internet"))
        given = modem.start_session()
        assert given is not None
        assert (str(given.address), str(given.mask), str(given.gateway)) == ("10.0.2.15", "255.255.255.0", "10.0.2.2")
        assert list(map(str, given.name_servers)) == ["10.0.2.3"]
        assert modem.session_is_up()
        assert simulated.modem.is_session_up
        modem.end_session()
        assert not modem.session_is_up()


def test_what_it_says_unasked_ends_a_wait(line: TerminalLine, waking: Waking) -> None:
    with served(line) as simulated, open_at_modem(line.path, waking) as modem:
        modem.attach(AccessPoint())
        modem.start_session()
        threading.Timer(0.2, lambda: simulated.event("drop-session")).start()
        assert modem.wait(30.0)
        assert not modem.session_is_up()
        threading.Timer(0.2, lambda: simulated.change(registration="denied")).start()
        assert modem.wait(30.0)
        assert modem.registration().registration is Registration.DENIED


def test_a_wrong_pin_is_refused_with_its_number_and_the_pin_is_in_no_message(
    line: TerminalLine, waking: Waking
) -> None:
    with served(line, pin="1234") as simulated, open_at_modem(line.path, waking) as modem:
        assert modem.sim() is SimState.PIN
        with pytest.raises(ModemRefusedError) as raised:
            modem.enter_pin("7391")
        assert raised.value.number == 16
        assert "7391" not in raised.value.message
        assert simulated.modem.pin_tries == 2
        modem.enter_pin("1234")
        assert modem.sim() is SimState.READY


@pytest.mark.parametrize(
    ("radio", "state"),
    [({"has_sim": False}, SimState.MISSING), ({"pin": "1234"}, SimState.PIN)],
)
def test_sims_that_are_not_ready(line: TerminalLine, waking: Waking, radio: dict[str, object], state: SimState) -> None:
    with served(line, **radio), open_at_modem(line.path, waking) as modem:
        assert modem.sim() is state


def test_garbage_between_answers_is_left_out(line: TerminalLine, waking: Waking) -> None:
    with served(line, is_garbled=True), open_at_modem(line.path, waking) as modem:
        assert modem.sim() is SimState.READY
        assert modem.reception().dbm == -85


def test_refusals_of_the_network(line: TerminalLine, waking: Waking) -> None:
    with served(line, attach_refused=True) as simulated, open_at_modem(line.path, waking) as modem:
        with pytest.raises(ModemRefusedError) as raised:
            modem.attach(AccessPoint())
        assert raised.value.number == 107
        simulated.change(attach_refused=False, access_point="iot")
        modem.attach(AccessPoint(name="internet"))
        with pytest.raises(ModemRefusedError) as raised:
            modem.start_session()
        assert raised.value.number == 133


def test_a_modem_that_is_silent_or_late_is_gone(
    line: TerminalLine, waking: Waking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at, "ATTEMPT_S", 0.1)
    with served(line, is_silent=True), pytest.raises(ModemGoneError), open_at_modem(line.path, waking):
        pytest.fail("it answers")


def test_a_modem_that_starts_again_has_to_be_opened_again(line: TerminalLine, waking: Waking) -> None:
    with served(line) as simulated, open_at_modem(line.path, waking) as modem:
        simulated.event("restart")
        with pytest.raises(ModemGoneError, match="started again"):
            modem.wait(30.0)


def test_who_waits_can_be_stopped(line: TerminalLine, waking: Waking) -> None:
    with served(line), open_at_modem(line.path, waking) as modem:
        threading.Timer(0.2, waking.stop).start()
        with pytest.raises(ModemStoppedError):
            modem.wait(600.0)


def hostile(line: TerminalLine, said: bytes, stopped: threading.Event) -> threading.Thread:
    """Say the same to whatever is asked, and go on saying it."""

    def speak() -> None:
        while not stopped.is_set():
            line.read()
            line.write(said)
            stopped.wait(0.01)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("said", [b"\r\n+CSQ: 1,1\r\n" * 50, b"A" * 3000, b"\x00\xff\r\n" * 500])
def test_answers_without_an_end_are_bounded(
    line: TerminalLine, waking: Waking, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at, "ATTEMPT_S", 0.5)
    stopped = threading.Event()
    thread = hostile(line, said, stopped)
    try:
        with pytest.raises(ModemGoneError), open_at_modem(line.path, waking):
            pytest.fail("it answers")
    finally:
        stopped.set()
        thread.join()
        line.close()


def test_what_is_said_unasked_is_kept_within_bounds(line: TerminalLine, waking: Waking) -> None:
    with open_node(line.path) as descriptor:
        opened = channel.AtChannel(descriptor, waking)
        for _ in range(20):
            line.write(b"\r\n+CREG: 1\r\n" * 20)
            assert opened.wait(30.0)
        assert len(opened.unasked) <= channel.MAX_UNASKED
    line.close()


def test_one_modem_is_held_by_one_program(line: TerminalLine) -> None:
    with open_node(line.path), pytest.raises(ModemGoneError, match="another program"), open_node(line.path):
        pytest.fail("two hold it")
    line.close()


def test_what_is_no_modem_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModemGoneError), open_node(tmp_path / "nothing"):
        pytest.fail("it opens")
    with pytest.raises(ModemGoneError, match="no character device"), open_node(tmp_path / "file"):
        pytest.fail("it opens")


def test_the_modem_of_a_machine_is_found_by_what_the_kernel_says(tmp_path: Path) -> None:
    virtual, wireless = tmp_path / "virtio-ports", tmp_path / "wwan"
    assert find_modem(virtual, wireless) is None
    for name, said in (("vport1p1", "org.qemu.guest_agent.0"), ("vport1p2", VIRTUAL_PORT)):
        (virtual / name).mkdir(parents=True)
        (virtual / name / "name").write_text(f"{said}\n")
    assert find_modem(virtual, wireless) == Path("/dev/vport1p2")
    for name in ("wwan0", "wwan0mbim0", "wwan0at0", "wwan0at1"):
        (wireless / name).mkdir(parents=True)
    assert find_modem(virtual, wireless) == Path("/dev/wwan0at0")


def test_a_modem_that_is_pulled_out_is_gone(line: TerminalLine, waking: Waking) -> None:
    with open_node(line.path) as descriptor:
        opened = channel.AtChannel(descriptor, waking)
        line.close()
        assert os.fstat(descriptor)
        with pytest.raises(ModemGoneError, match="pulled out"):
            opened.wait(30.0)
