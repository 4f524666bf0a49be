# SPDX-License-Identifier: Apache-2.0
"""A real wpa_supplicant on this host, without a radio: it is told of networks, forgets them, and is started again.

Its driver is ``none``, in a network namespace of its own: it keeps networks and answers, and hears nobody. What it does
with a radio is seen on a machine in QEMU (``tests/device_image/booted/wifi/test_wifi.py``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.fixtures.namespaces import network_namespace
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.engines.wifi.control import ControlSocket
from armillary.engines.wifi.program import SEARCH_PATH, SupplicantProgram
from armillary.engines.wifi.supplicant import SupplicantRadio
from armillary.errors import HostError
from armillary.wire.wifi.network import Network

INTERFACE = "lo"
HOME = Network(id=7, ssid='a "home"', security="psk", psk='a "long" secret')
CAFE = Network(id=9, ssid="café", security="open", targeted=True)
WORK = Network(
    id=11,
    ssid="work",
    security="eaptls",
    identity="me",
    client_certificate=b"C",
    client_key=b"K",
    root_certificate=b"R",
)
# A device process that has a radio, and looks after it for ever.
DEVICE = """
import sys, threading
from pathlib import Path
from armillary.engines.wifi.program import SupplicantProgram
SupplicantProgram(Path(sys.argv[1]), sys.argv[2], driver="none").start()
threading.Event().wait()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """The radio's folder; its path is short, as on a device: the names of sockets are."""
    if shutil.which("wpa_supplicant", path=SEARCH_PATH) is None:
        pytest.skip("wpa_supplicant is missing; to enable: sudo apt-get install wpasupplicant")
    with TemporaryDirectory(prefix="armillary-") as name:
        yield Path(name) / "wifi"


@pytest.fixture
def radio(folder: Path) -> Iterator[SupplicantRadio]:
    """A radio whose wpa_supplicant runs."""
    program = SupplicantProgram(folder, INTERFACE, driver="none")
    with network_namespace() as namespace:
        made = namespace.call(lambda: SupplicantRadio(program))
        try:
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def client(folder: Path) -> Iterator[ControlSocket]:
    made = ControlSocket(folder / "control", INTERFACE)
    try:
        yield made
    finally:
        made.close()


def numbers(asked: ControlSocket) -> list[int]:
    """wpa_supplicant's number of each network that it knows."""
    _, *lines = asked.ask("LIST_NETWORKS").splitlines()
    return [int(line.partition("\t")[0]) for line in lines]


def known(folder: Path) -> dict[str, tuple[str, ...]]:
    """What wpa_supplicant says of each network: name -> kind of keys, whether it is asked for by name."""
    with client(folder) as asked:
        return {
            asked.ask(f"GET_NETWORK {number} ssid"): (
                asked.ask(f"GET_NETWORK {number} key_mgmt"),
                asked.ask(f"GET_NETWORK {number} scan_ssid"),
                asked.ask(f"GET_NETWORK {number} disabled"),
            )
            for number in numbers(asked)
        }


def process_id(folder: Path) -> int:
    """The process that has the control folder on its command line."""
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdigit() and str(folder / "control").encode() in (path / "cmdline").read_bytes().split(b"\0"):
                return int(path.name)
    return 0


def test_networks_are_told_changed_and_forgotten(radio: SupplicantRadio, folder: Path) -> None:
    radio.use([HOME, CAFE, WORK], saves_power=False)
    told = known(folder)
    assert told[CAFE.ssid.encode().hex()] == ("NONE", "1", "0")
    assert told['"a "home""'] == ("WPA-PSK WPA-PSK-SHA256 SAE", "0", "0")
    assert told['"work"'] == ("WPA-EAP WPA-EAP-SHA256", "0", "0")
    with client(folder) as asked:
        assert asked.ask("GET_NETWORK 0 psk") == "*", "it shows no secret"
        assert asked.ask("GET_NETWORK 2 private_key") == f'"{folder}/certificates/11-private_key.pem"'
        assert asked.ask("GET_NETWORK 2 ca_cert") == f'"{folder}/certificates/11-ca_cert.pem"'
    radio.use([HOME], saves_power=True)
    assert list(known(folder)) == ['"a "home""']
    assert [*(folder / "certificates").iterdir()] == []
    radio.use((), saves_power=False)
    assert known(folder) == {}


def test_what_stays_as_it_was_is_not_told_again(radio: SupplicantRadio, folder: Path) -> None:
    radio.use([HOME, CAFE], saves_power=False)
    with client(folder) as asked:
        for number in numbers(asked):
            asked.order(f"SET_NETWORK {number} priority 5")  # a mark that a network told anew has not
        radio.use([HOME, Network(id=9, ssid="bar", security="open")], saves_power=False)
        marks = [asked.ask(f"GET_NETWORK {number} priority") for number in numbers(asked)]
    assert marks == ["5", "0"]


def test_keys_are_where_this_user_alone_enters(radio: SupplicantRadio, folder: Path) -> None:
    radio.use([WORK], saves_power=False)
    paths = [folder, folder / "control", folder / "certificates", *(folder / "certificates").iterdir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o700, 0o700, 0o600, 0o600, 0o600]
    assert (folder / "certificates/11-private_key.pem").read_bytes() == b"K"


def test_no_radio_is_in_no_network_and_does_not_look_around(radio: SupplicantRadio) -> None:
    radio.use([HOME], saves_power=False)
    assert (radio.mode, radio.interface, radio.hardware_address) == ("station", "lo", "00:00:00:00:00:00")
    assert radio.connection() is None
    assert radio.failures() == {}, "nobody has looked around yet"
    with pytest.raises(HostError, match=r"does not scan|has not looked around"):
        radio.scan()


def test_one_that_was_killed_is_started_again_and_knows_everything(
    radio: SupplicantRadio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.engines.wifi.supplicant.START_AGAIN_S", 0.1)
    radio.use([HOME, WORK], saves_power=False)
    first = process_id(folder)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: process_id(folder) not in (0, first), "another wpa_supplicant")

    def tells() -> object:
        with contextlib.suppress(HostError):
            return known(folder).keys() == {'"a "home""', '"work"'}
        return False

    wait_until(tells, "what the first one knew")
    assert (folder / "certificates/11-private_key.pem").read_bytes() == b"K"


def test_what_was_wanted_while_none_ran_is_told_to_the_next_one(
    radio: SupplicantRadio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.engines.wifi.supplicant.START_AGAIN_S", 0.1)
    radio.use([HOME, WORK], saves_power=False)

    def refuses(_: SupplicantProgram) -> None:
        raise HostError("not now", remedy="Wait.")

    with monkeypatch.context() as patched:
        patched.setattr(SupplicantProgram, "start", refuses)
        os.kill(process_id(folder), signal.SIGKILL)
        wait_until(lambda: process_id(folder) == 0, "the end of wpa_supplicant")
        with pytest.raises(HostError):
            radio.use([CAFE], saves_power=False)  # the others were forgotten
        with pytest.raises(HostError):
            radio.reload()

    def tells() -> object:
        with contextlib.suppress(HostError):
            return list(known(folder)) == [CAFE.ssid.encode().hex()]
        return False

    wait_until(tells, "what is wanted, and nothing else")


def test_one_that_stands_still_while_it_is_told_is_started_again_and_knows_exactly_what_is_wanted(
    radio: SupplicantRadio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.engines.wifi.supplicant.START_AGAIN_S", 0.1)
    monkeypatch.setattr("armillary.engines.wifi.control.ANSWER_S", 1.0)
    monkeypatch.setattr("armillary.engines.wifi.program.STOP_S", 0.2)
    radio.use([HOME, WORK], saves_power=False)
    stopped = process_id(folder)
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(HostError, match="does not answer REMOVE_NETWORK"):
        radio.use([CAFE], saves_power=False)
    wait_until(lambda: process_id(folder) not in (0, stopped), "another wpa_supplicant")

    def tells() -> object:
        with contextlib.suppress(HostError):
            return list(known(folder)) == [CAFE.ssid.encode().hex()]
        return False

    wait_until(tells, "what is wanted, and nothing else")
    assert [*(folder / "certificates").iterdir()] == [], "the key of what was removed is gone"


def test_one_that_somebody_left_is_ended_first(folder: Path) -> None:
    (folder / "control").mkdir(mode=0o700, parents=True)
    with network_namespace() as namespace:
        words = ("wpa_supplicant", "-D", "none", "-i", INTERFACE, "-C", folder / "control")
        with killed_process(namespace.command(*words)) as left:
            wait_until((folder / "control" / INTERFACE).exists, "one that listens")
            made = namespace.call(lambda: SupplicantRadio(SupplicantProgram(folder, INTERFACE, driver="none")))
            try:
                assert left.wait(30) == 0, "it was asked to end"
                assert process_id(folder) not in (0, left.pid)
            finally:
                made.close()


def test_it_ends_with_a_device_that_is_killed(folder: Path) -> None:
    with network_namespace() as namespace:
        words = namespace.command(sys.executable, "-c", DEVICE, folder, INTERFACE)
        with killed_process(words) as device:
            wait_until((folder / "control" / INTERFACE).exists, "a wpa_supplicant that listens")
            assert process_id(folder) not in (0, device.pid)
            device.kill()
            wait_until(lambda: process_id(folder) == 0, "the end of wpa_supplicant")
            assert not (folder / "control" / INTERFACE).exists(), "it ended in order"


def test_it_does_not_start_for_a_device_that_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = SupplicantProgram(folder, INTERFACE, driver="none")
    with network_namespace() as namespace:
        monkeypatch.setattr("armillary.engines.host.ended_with.os.getpid", lambda: 1)  # not who starts it
        with pytest.raises(HostError, match="wpa_supplicant does not start for lo"):
            namespace.call(program.start)
    assert process_id(folder) == 0


def test_nothing_is_left_when_it_ends(folder: Path) -> None:
    with network_namespace() as namespace:
        made = namespace.call(lambda: SupplicantRadio(SupplicantProgram(folder, INTERFACE, driver="none")))
        made.use([WORK], saves_power=False)
        made.close()
        assert [*folder.iterdir()] == []
        assert process_id(folder) == 0


def test_an_interface_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(HostError, match="wpa_supplicant does not start for nosuch0"):
        SupplicantProgram(folder, "nosuch0", driver="none").start()


def test_a_folder_that_cannot_be_made_is_said(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(HostError, match=r"wpa_supplicant does not start for lo: .*wifi"):
        SupplicantProgram(folder, INTERFACE, driver="none").start()


def test_a_missing_program_is_said_with_its_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("armillary.engines.wifi.program.NAME", "no-such-program")
    with pytest.raises(HostError) as refused:
        SupplicantProgram(folder, INTERFACE).start()
    assert "wpasupplicant" in refused.value.remedy


def test_a_refused_value_is_a_failure_of_that_network_alone(radio: SupplicantRadio, folder: Path) -> None:
    wrong = Network(id=1, ssid="x", security="psk", psk="short")  # the device's records refuse it before
    radio.use([wrong, CAFE], saves_power=False)
    assert [error.error.word for error in radio.failures().values()] == ["ConnectionFailed"]
    assert CAFE.ssid.encode().hex() in known(folder)
