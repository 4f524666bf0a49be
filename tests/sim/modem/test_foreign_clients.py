# SPDX-License-Identifier: Apache-2.0
"""Programs of others take the simulated modem for a modem: gammu, qmicli, and ModemManager with its test interface."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.fixtures.processes import OwnProcess
from tests.fixtures.waiting import wait_until

from armillary.sim.modem.modem import IMEI, SimulatedModem
from armillary.sim.modem.qmi import SimulatedQmiModem
from armillary.sim.modem.radio import Radio
from armillary.sim.modem.serving import ServedModem, TerminalLine

WITHIN_S = 120.0
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
MANAGER = ("ModemManager", "mmcli", "dbus-daemon", "dbus-send")
missing = [each for each in MANAGER if shutil.which(each, path=PATH) is None]

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
"""


@pytest.mark.skipif(shutil.which("gammu") is None, reason="no gammu; to enable: scripts/install-test-tools")
@pytest.mark.timeout(WITHIN_S)
def test_gammu_reads_the_modem_the_sim_and_the_network(tmp_path: Path) -> None:
    line = TerminalLine()
    settings = tmp_path / "gammurc"
    settings.write_text(f"[gammu]\ndevice = {line.path}\nconnection = at115200\nuse_locking = no\n")

    def gammu(*words: str) -> str:
        ended = subprocess.run(["gammu", "-c", settings, *words], capture_output=True, text=True, check=True)
        return ended.stdout

    with ServedModem(SimulatedModem(Radio(signal_dbm=-95)), line) as served:
        said = gammu("identify")
        assert "simulated modem" in said
        assert IMEI in said
        assert "home network" in gammu("networkinfo")
        assert "-95 dBm" in gammu("monitor", "1")
        served.change(pin="1234")
        assert "Waiting for PIN" in gammu("getsecuritystatus")
        subprocess.run(["gammu", "-c", settings, "entersecuritycode", "PIN", "1234"], check=True, capture_output=True)
        assert "Nothing to enter" in gammu("getsecuritystatus")


@pytest.mark.skipif(shutil.which("qmicli") is None, reason="no qmicli; to enable: scripts/install-test-tools")
@pytest.mark.timeout(WITHIN_S)
def test_qmicli_reads_the_modem_the_sim_and_the_network_and_starts_a_session() -> None:
    line, changes = TerminalLine(), list[bool]()

    def qmicli(*words: str, code: int = 0) -> str:
        command = ["qmicli", "-d", line.path, "--device-open-qmi", *words]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == code, ended.stderr
        return ended.stdout + ended.stderr

    with ServedModem(SimulatedQmiModem(Radio(pin="1234", signal_dbm=-97), changes.append), line):
        assert "nas (1.0)" in qmicli("--get-service-version-info")
        assert "'simulated modem'" in qmicli("--dms-get-model")
        assert IMEI in qmicli("--dms-get-ids")
        assert "'pin1-or-upin-pin-required'" in qmicli("--uim-get-card-status")
        assert "IncorrectPin" in qmicli("--uim-verify-pin=PIN1,1111", code=1)
        qmicli("--uim-verify-pin=PIN1,1234")
        assert "Application state: 'ready'" in qmicli("--uim-get-card-status")
        assert "'Armillary simulated'" in qmicli("--nas-get-serving-system")
        assert "RSRP: '-97 dBm'" in qmicli("--nas-get-signal-info")
        started = qmicli("--wds-start-network=apn=internet,ip-type=4", "--client-no-release-cid")
        (handle,) = re.findall(r"Packet data handle: '(\d+)'", started)
        assert "'connected'" in qmicli("--wds-get-packet-service-status")
        assert "IPv4 address: 10.0.2.15" in qmicli("--wds-get-current-settings")
        qmicli(f"--wds-stop-network={handle}")
        assert "'disconnected'" in qmicli("--wds-get-packet-service-status")
    assert changes == [True, False]


@contextmanager
def abstract_line(modem: SimulatedModem, name: str) -> Iterator[None]:
    """A modem at an abstract socket, which is how ModemManager's tests give it one."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"\0{name}")
    listening.listen()
    streams: list[socket.socket] = []

    def answer(stream: socket.socket) -> None:
        while data := stream.recv(4096):
            stream.sendall(modem.receive(data))

    def take() -> None:
        while True:
            try:
                stream, _ = listening.accept()
            except OSError:
                return
            streams.append(stream)
            threading.Thread(target=answer, args=(stream,), daemon=True).start()

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    try:
        yield
    finally:
        for each in (listening, *streams):
            each.shutdown(socket.SHUT_RDWR)
            each.close()
        taking.join()


def program(*words: str, env: dict[str, str]) -> OwnProcess:
    return OwnProcess(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}; to enable: sudo apt-get install modemmanager dbus")
@pytest.mark.timeout(2 * WITHIN_S)
def test_modemmanager_registers_it_in_its_network(tmp_path: Path) -> None:
    bus, name = tmp_path / "bus", f"abstract:armillary:{os.getpid()}"
    (tmp_path / "bus.conf").write_text(BUS.format(socket=bus))
    address = f"unix:path={bus}"
    env = {"PATH": PATH, "DBUS_SESSION_BUS_ADDRESS": address, "DBUS_SYSTEM_BUS_ADDRESS": address}

    def said(text: str, *words: str) -> str:
        """What a program says, once this is in it; asked until then."""

        def answer() -> str:
            ended = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
            return ended.stdout if text in ended.stdout else ""

        return str(wait_until(answer, f"{text!r} of {words[0]}", WITHIN_S))

    profile = ("org.freedesktop.ModemManager1.Test.SetProfile", "string:simulated", "string:generic")
    manager = ("--test-session", "--no-auto-scan", "--test-enable", "--test-no-udev", "--test-no-suspend-resume")
    with ExitStack() as stack:
        stack.enter_context(abstract_line(SimulatedModem(), name))
        stack.enter_context(program("dbus-daemon", "--config-file", str(tmp_path / "bus.conf"), "--nofork", env=env))
        said("bus", "ls", str(tmp_path))
        stack.enter_context(program("ModemManager", *manager, "--test-no-qrtr", env=env))
        destination = "--dest=org.freedesktop.ModemManager1"
        asked = ("dbus-send", "--session", "--print-reply", destination, "/org/freedesktop/ModemManager1", *profile)
        said("method return", *asked, f"array:string:{name}")
        said("simulated modem", "mmcli", "-L")
        said("successfully enabled", "mmcli", "-m", "any", "-e")
        found = said("state: registered", "mmcli", "-m", "any")
        assert "Armillary simulated" in found
        assert IMEI in found
