# SPDX-License-Identifier: Apache-2.0
"""Played inside a machine by a test image, not by any release: access points on simulated radios, the device's own Wi-Fi
on the first. Each step is one line on the console, ``story NAME JSON``.

What plays the device is what the device process uses: records in flash, certificate store, ``Wifi``, the radio that
``open_radio`` makes, DHCP. The first start ends with a network enabled; the second one only has the records followed.

A machine that its host hands ``opt/armillary-story/points`` is a device itself: there are the access points alone, and
whether the device's radio sleeps is told whenever that changes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from armillary.device.machine import network
from armillary.device.machine.wireless import open_radio
from armillary.device.private_network.leases import Leases, destination
from armillary.device.private_network.plan import DhcpPlan
from armillary.device.state.certificate_store import CertificateStore, read_certificate
from armillary.device.state.journal import Journal
from armillary.device.state.wifi_configuration import WifiConfiguration
from armillary.device.wifi.wifi import Wifi
from armillary.engines.flash.file import FileFlash
from armillary.engines.host.addressing import bring_up, set_address
from armillary.engines.private_network.datagrams import bound_socket
from armillary.engines.wifi.power_saving import saves_power
from armillary.engines.wifi.program import NAME
from armillary.errors import ArmillaryError, WireError
from armillary.wire.device.dhcp import encode_answer, parse_message

FILES = Path("/usr/lib/story")
PLACE = Path("/data/story")
WITHIN_S = 120.0
POINTS_ALONE = Path("/sys/firmware/qemu_fw_cfg/by_name/opt/armillary-story/points/raw")
PSK = "a passphrase of the story"
WORK = "armillary-work"
# Name -> what hostapd is told of it, beside name and interface.
PROTECTED = "wpa=2\nrsn_pairwise=CCMP\n"
POINTS = {
    "armillary-open": "",
    "armillary-psk": f"{PROTECTED}wpa_key_mgmt=WPA-PSK\nwpa_passphrase={PSK}\n",
    "armillary-sae": f"{PROTECTED}wpa_key_mgmt=SAE\nieee80211w=2\nwpa_passphrase={PSK}\n",
    "armillary-hidden": f"{PROTECTED}wpa_key_mgmt=WPA-PSK\nwpa_passphrase={PSK}\nignore_broadcast_ssid=1\n",
    WORK: f"{PROTECTED}wpa_key_mgmt=WPA-EAP\nieee8021x=1\neap_server=1\neap_user_file={FILES}/users\n"
    f"ca_cert={FILES}/root.pem\nserver_cert={FILES}/server.pem\nprivate_key={FILES}/server.key\n",
}


def tell(name: str, **values: Any) -> None:
    sys.stdout.write(f"story {name} {json.dumps(values)}\n")
    sys.stdout.flush()


def met(condition: Any, what: str) -> Any:
    ends_at = time.monotonic() + WITHIN_S
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > ends_at:
            raise TimeoutError(what)
        time.sleep(0.2)


class AccessPoints:
    """hostapd with an access point of each name, each on a radio of its own, and a DHCP server at each."""

    def __init__(self) -> None:
        files = []
        for number, (name, words) in enumerate(POINTS.items()):
            files.append(Path(f"/run/hostapd-{number}.conf"))
            head = f"interface=wlan{number + 1}\ndriver=nl80211\nhw_mode=g\nchannel=6\nssid={name}\n"
            files[-1].write_text(head + words)
        os.posix_spawn("/usr/sbin/hostapd", ["hostapd", *map(str, files)], os.environ)
        for number in range(len(POINTS)):
            self._serve(f"wlan{number + 1}", IPv4Network(f"10.77.{number}.0/24"))

    def _serve(self, interface: str, around: IPv4Network) -> None:
        bring_up(interface)
        set_address(interface, around[1], around.netmask)
        served = bound_socket(interface, "0.0.0.0", 67)
        served.setblocking(True)
        leases = Leases(DhcpPlan(server=around[1], first=around[50], count=10, network=around))
        threading.Thread(target=self._answer, args=(served, leases), daemon=True).start()

    def _answer(self, served: socket.socket, leases: Leases) -> None:
        while True:
            data, _ = served.recvfrom(2048)
            try:
                asked = parse_message(data)
            except WireError:
                continue
            said = leases.answer(asked, time.monotonic())
            if said is not None:
                served.sendto(encode_answer(asked, said), (str(destination(asked, said)), 68))


class Story:
    """The device's side."""

    def __init__(self) -> None:
        PLACE.mkdir(exist_ok=True)
        self.flash = FileFlash(PLACE / "flash")
        journal = Journal(None, lambda: 0)
        journal.listen(lambda entry: tell("log", **entry))
        self.wifi = Wifi(open_radio("wlan0"), self.flash, journal)

    def add(self, ssid: str, security: str, **more: Any) -> int:
        asked = {"ssid": ssid, "securityState": security, "configState": "enabled", **more}
        made = WifiConfiguration(self.flash).add(asked)
        self.wifi.apply()
        return made.id

    def remove(self, number: int) -> None:
        WifiConfiguration(self.flash).remove(number)
        self.wifi.apply()

    def joined(self, number: int) -> dict[str, Any]:
        def there() -> Any:
            found = self.wifi.radio.connection()
            return found if found and found.network == number and found.address else None

        found = met(there, f"in the network; {self.wifi.radio.failures()}")
        return {"bssid": found.bssid, "frequency": found.frequency, "address": found.address}

    def failed(self, number: int) -> dict[str, Any]:
        found = met(lambda: self.wifi.radio.failures().get(number), "a failure")
        certificate = found.certificate
        return {
            "error": found.error.word,
            "certificate": None if certificate is None else [certificate.reason, certificate.subject],
        }

    def certificate(self, name: str, kind: str, key: str | None = None) -> None:
        secret = None if key is None else (FILES / key).read_text()
        public = (FILES / f"{name}.pem").read_text()
        CertificateStore(self.flash).add(name, read_certificate(kind, public, secret, None))

    def play(self) -> None:
        def looked() -> Any:
            found = self.wifi.radio.scan()
            return found if {each.ssid for each in found} >= set(POINTS) - {"armillary-hidden"} else None

        around = met(looked, "all access points")
        tell("scan", around=[[each.ssid, each.security, each.frequency, each.signal, each.bssid] for each in around])
        self.one("open", "armillary-open", "open")
        self.passphrases()
        self.one("sae", "armillary-sae", "psk", psk=PSK)
        self.names()
        self.certificates()
        self.power()

    def one(self, step: str, ssid: str, security: str, **more: Any) -> None:
        number = self.add(ssid, security, **more)
        tell(step, **self.joined(number))
        self.remove(number)
        met(lambda: self.wifi.radio.connection() is None, "out of the network")

    def passphrases(self) -> None:
        number = self.add("armillary-psk", "psk", psk="another passphrase")
        tell("wrong-key", **self.failed(number))
        WifiConfiguration(self.flash).change(number, state=None, psk=PSK)
        self.wifi.apply()
        tell("psk", **self.joined(number), failures=len(self.wifi.radio.failures()))
        self.remove(number)

    def names(self) -> None:
        number = self.add("nowhere", "open")
        tell("not-found", **self.failed(number))
        self.remove(number)
        number = self.add("armillary-psk", "open")
        tell("mismatch", **self.failed(number))
        self.remove(number)
        number = self.add("armillary-hidden", "psk", psk=PSK)
        tell("hidden", **self.failed(number))
        self.remove(number)
        self.one("targeted", "armillary-hidden", "psk", psk=PSK, targetScan=True)

    def certificates(self) -> None:
        self.certificate("client", "client", "client.key")
        self.certificate("root", "rootca")
        self.certificate("other", "rootca")
        enterprise = {"clientCertStoreIdentifier": "client"}
        number = self.add(WORK, "eaptls", **enterprise, rootCaCertStoreIdentifier="other")
        tell("wrong-root", **self.failed(number))
        self.remove(number)
        self.kept = self.add(WORK, "eaptls", **enterprise, rootCaCertStoreIdentifier="root")
        tell("eaptls", **self.joined(self.kept))

    def power(self) -> None:
        before = saves_power("wlan0")
        WifiConfiguration(self.flash).save_power(wanted=True)
        self.wifi.apply()
        tell("power", before=before, after=saves_power("wlan0"))
        for path in Path("/proc").glob("[0-9]*"):
            if (path / "comm").exists() and (path / "comm").read_text().strip() == NAME:
                os.kill(int(path.name), signal.SIGKILL)
        met(self.gone, "out of the network")
        tell("killed", **self.joined(self.kept))

    def gone(self) -> bool:
        try:
            return self.wifi.radio.connection() is None
        except ArmillaryError:
            return True


def watch_power() -> None:
    """Tell whether the device's radio sleeps, now and whenever that changes."""
    before: bool | None = None
    while True:
        now = saves_power("wlan0")
        if now is not before:
            tell("sleeps", now=now)
        before = now
        time.sleep(1)


def main() -> None:
    if POINTS_ALONE.exists():
        AccessPoints()
        tell("points", names=list(POINTS))
        watch_power()
    met(lambda: os.path.ismount("/data"), "data")
    again = (PLACE / "flash").exists()
    tell("radios", found=sorted(path.name for path in network.INTERFACES.iterdir() if network.is_radio(path)))
    AccessPoints()
    story = Story()
    if again:
        story.wifi.apply()
        (kept,) = WifiConfiguration(story.flash).networks
        tell("again", **story.joined(kept.id), saves_power=saves_power("wlan0"))
    else:
        story.play()
    os.sync()
    tell("done", again=again)
    threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # whatever it is, the test shall see it
        tell("failed", error=traceback.format_exc()[-1500:])
        raise
