# SPDX-License-Identifier: Apache-2.0
"""What a radio makes of a wpa_supplicant that answers late, and of more neighbours than fit into one of its replies."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.engines.wifi.pretended_supplicant import PretendedProgram
from tests.fixtures.waiting import wait_until

from armillary.engines.wifi.control import ControlSocket
from armillary.engines.wifi.supplicant import SupplicantRadio
from armillary.errors import HostError
from armillary.wire.wifi.network import Network

HOME = Network(id=7, ssid="home", security="psk", psk="a long secret")
CAFE = Network(id=9, ssid="cafe", security="open")
LOUD = "\\x01" * 32  # a name that takes four times its bytes


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedProgram]:
    monkeypatch.setattr("armillary.engines.wifi.control.ANSWER_S", 0.3)
    monkeypatch.setattr("armillary.engines.wifi.supplicant.START_AGAIN_S", 0.05)
    monkeypatch.setattr("armillary.engines.wifi.supplicant._WAIT_S", 0.05)
    with TemporaryDirectory(prefix="armillary-") as name:
        yield PretendedProgram(Path(name))


@pytest.fixture
def radio(program: PretendedProgram) -> Iterator[SupplicantRadio]:
    made = SupplicantRadio(program)  # type: ignore[arg-type]
    yield made
    made.close()


def access_point(number: int, ssid: str, level: int) -> str:
    bssid = f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
    return f"id={number}\nbssid={bssid}\nfreq=2412\nlevel={level}\nflags=[WPA2-PSK-CCMP][ESS]\nssid={ssid}\n"


def test_a_radio_outlives_a_time_without_a_free_descriptor(
    program: PretendedProgram, radio: SupplicantRadio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its thread would be that of wpa_supplicant, for good."""
    radio.use([HOME], saves_power=False)
    refused = threading.Event()

    def refuse(*_: object) -> None:
        refused.set()
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr("armillary.engines.wifi.control.socket.socket", refuse)
        short.setattr(program, "start", lambda: None)  # which needs a descriptor itself
        program.stop()
        assert refused.wait(30.0)
    wait_until(lambda: program.starts == 2 and program.names() == ["home"], "another one, which knows the network")


def test_a_radio_hears_before_it_can_be_asked(program: PretendedProgram, radio: SupplicantRadio) -> None:
    assert program.has_listener
    assert radio.scan() == ()


def test_one_that_does_not_say_what_happens_is_started_again(program: PretendedProgram) -> None:
    program.silent = {"ATTACH"}
    radio = SupplicantRadio(program)  # type: ignore[arg-type]
    try:
        wait_until(lambda: program.starts > 1, "another one")
        program.silent = set()
        wait_until(lambda: program.has_listener, "one that is heard")
        assert radio.scan() == ()
    finally:
        radio.close()


@pytest.mark.parametrize("unanswered", ["ADD_NETWORK", "SET_NETWORK", "ENABLE_NETWORK"])
def test_one_that_does_not_answer_is_started_again_and_knows_every_network_wholly(
    program: PretendedProgram, radio: SupplicantRadio, unanswered: str
) -> None:
    program.silent = {unanswered}
    with pytest.raises(HostError, match=f"does not answer {unanswered}") as raised:
        radio.use([HOME, CAFE], saves_power=False)
    assert raised.value.remedy == "wpa_supplicant is started again, and told of all networks."
    program.silent = set()
    wait_until(lambda: program.names() == ["home", "cafe"], "another one, which knows both")
    assert (program.starts, len(program.networks)) == (2, 2)
    radio.use([HOME, CAFE], saves_power=False)
    assert program.starts == 2


def test_a_network_that_could_not_be_forgotten_is_unknown_to_the_next_one(
    program: PretendedProgram, radio: SupplicantRadio
) -> None:
    radio.use([HOME, CAFE], saves_power=False)
    program.silent = {"REMOVE_NETWORK"}
    with pytest.raises(HostError, match="does not answer REMOVE_NETWORK"):
        radio.use([CAFE], saves_power=False)
    program.silent = set()
    wait_until(lambda: program.names() == ["cafe"], "another one, which knows what is left")
    assert program.starts == 2


def test_a_network_whose_files_find_no_room_fails_alone_and_is_told_with_the_next_change(
    program: PretendedProgram, radio: SupplicantRadio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(network: Network) -> Mapping[str, str]:
        if network == HOME:
            raise OSError(28, "No space left on device")
        return {}

    with monkeypatch.context() as patched:
        patched.setattr(program, "write_files", is_full)
        radio.use([HOME, CAFE], saves_power=False)
    assert program.names() == ["cafe"]
    assert [(number, each.error.word) for number, each in radio.failures().items()] == [(7, "ConnectionFailed")]
    radio.use([HOME, CAFE], saves_power=False)
    assert sorted(program.names()) == ["cafe", "home"]
    assert radio.failures() == {}


def test_a_crowd_of_loud_names_hides_nobody(program: PretendedProgram, radio: SupplicantRadio) -> None:
    begin = 4_000_000_000  # it has counted for long: all ids take some 4.5 KiB
    program.around = {begin + number: access_point(number, LOUD, -90) for number in range(300)}
    program.around[begin + 500] = access_point(500, "home", -30)
    program.around[begin + 501] = ""  # it went between two questions
    found = radio.scan()
    assert (len(found), found[0].ssid, found[0].signal) == (301, "home", -30)
    radio.use([HOME, CAFE], saves_power=False)
    assert {number: each.error.word for number, each in radio.failures().items()} == {9: "NetworkNotFound"}


def test_replies_that_came_too_late_are_not_taken_for_the_next_one(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "wlan0"))
        asked = ControlSocket(tmp_path, "wlan0")
        asked._socket.send(b"PING")
        _, sender = server.recvfrom(64)
        for late in (b"", b"OK\n", b""):
            server.sendto(late, sender)
        server.settimeout(5)
        answer = answered(server)
        assert asked.ask("STATUS") == "the answer"
        answer.join(5)
        asked.close()


def answered(server: socket.socket) -> threading.Thread:
    def answer() -> None:
        _, sender = server.recvfrom(64)
        server.sendto(b"the answer\n", sender)

    made = threading.Thread(target=answer)
    made.start()
    return made
