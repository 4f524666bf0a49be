# SPDX-License-Identifier: Apache-2.0
"""Equipment, guardian and uplink in networks of their own, both neighbours hostile: what isolation lets through.

Every "blocked" has its control: the same probe arrives before the rules are set and after they were taken away.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.isolation.networks import (
    ARRIVAL_LIMIT_S,
    EQUIPMENT,
    EQUIPMENT_MAC,
    GUARDIAN,
    IP_TRANSPARENT,
    SETTLE_S,
    UPLINK,
    Networks,
    needs,
)
from tests.fixtures.processes import OwnProcess
from tests.fixtures.waiting import wait_until

from armillary.engines.isolation.time_server import BURST
from armillary.wire.equipment.sntp import STRATUM

pytestmark = needs("dnsmasq", "busybox")
ARMILLARY = str(Path(sys.executable).with_name("armillary"))
SIDES = ("--equipment", "geq", "--uplink", "gup")
LEASE = ("--lease", f"{EQUIPMENT_MAC}=10.9.0.2")


class Isolation:
    """``armillary guardian isolate`` in the guardian's namespace."""

    def __init__(self, networks: Networks, *options: str) -> None:
        command = networks.command(GUARDIAN, ARMILLARY, "guardian", "isolate", *SIDES, *options, "--json")
        self.process = OwnProcess(command, stdout=subprocess.PIPE)
        self.seen: list[dict[str, object]] = []

    def until(self, event: str) -> dict[str, object]:
        """The next event of this name."""
        while line := self.process.readline():
            self.seen.append(json.loads(line))
            if self.seen[-1]["event"] == event:
                return self.seen[-1]
        raise AssertionError(f"no {event}: {self.seen}")


@pytest.fixture
def networks(tmp_path: Path) -> Iterator[Networks]:
    with Networks(tmp_path) as found:
        yield found


def isolated(networks: Networks, *options: str) -> Isolation:
    isolation = Isolation(networks, *options)
    isolation.until("ready")
    return isolation


def set_rules(networks: Networks, *options: str) -> None:
    networks.run(GUARDIAN, ARMILLARY, "guardian", "isolate", *SIDES, *options)


@pytest.mark.parametrize("lease", [LEASE, ()], ids=["leases", "no-leases"])
def test_nothing_crosses_and_the_guardian_asks_both(networks: Networks, lease: tuple[str, ...]) -> None:
    assert networks.is_open()  # the control
    for _ in range(2):  # setting them again changes nothing
        set_rules(networks, *lease, "--rules-only")
    assert networks.crossed() == set()
    networks.run(GUARDIAN, ARMILLARY, "guardian", "isolate", "--remove")
    assert networks.is_open()


@needs("socat")
def test_a_guardian_reads_its_machine_and_nobody_else_reaches_it(networks: Networks) -> None:
    """A simulated cable that speaks Modbus TCP at the equipment's address, read by the poll plan of its profile."""
    machine = networks.command(EQUIPMENT, ARMILLARY, "sim", "equipment", "cable", "--tcp", "1502", "--json")
    relay = networks.command(EQUIPMENT, "socat", "TCP-LISTEN:502,bind=10.9.0.2,fork,reuseaddr", "TCP:127.0.0.1:1502")
    reads = ("guardian", "test", "cable", "--link", "host=10.9.0.2", "--link", "port=502", "--json")

    def uplink_connects(limit_s: float) -> bool:
        client = networks.socket(UPLINK, socket.AF_INET, socket.SOCK_STREAM)
        client.connect_ex(("10.9.0.2", 502))
        return bool(select.select([], [client], [], limit_s)[1]) and not client.getsockopt(
            socket.SOL_SOCKET, socket.SO_ERROR
        )

    with OwnProcess(machine, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as sim, OwnProcess(relay):
        assert sim.readline()
        wait_until(lambda: uplink_connects(ARRIVAL_LIMIT_S), "the relay")  # the control
        set_rules(networks, *LEASE, "--rules-only")
        found = json.loads(networks.run(GUARDIAN, ARMILLARY, *reads).stdout)
        assert {each["quality"] for each in found["points"]} == {"good"}
        assert not uplink_connects(SETTLE_S)


def test_a_false_answer_from_the_other_side_is_none(networks: Networks) -> None:
    """The guardian waits for an answer from each side; the other side sends one with the right ports."""

    def heard(limit_s: float) -> set[str]:
        found = set()
        for asked, liar in (("10.9.0.2", UPLINK), ("192.0.2.2", EQUIPMENT)):
            waiting = networks.socket(GUARDIAN, socket.AF_INET, socket.SOCK_DGRAM)
            waiting.connect((asked, 502))
            waiting.send(b"question")
            false = networks.socket(liar, socket.AF_INET, socket.SOCK_DGRAM)
            false.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
            false.bind((asked, 502))
            false.sendto(b"lie", waiting.getsockname())
            if b"lie" in received(waiting, limit_s):
                found.add(liar)
            false.close()
        return found

    assert heard(ARRIVAL_LIMIT_S) == {EQUIPMENT, UPLINK}  # the control
    set_rules(networks, *LEASE, "--rules-only")
    assert heard(SETTLE_S) == set()


def test_neither_side_learns_the_other_address_by_arp(networks: Networks) -> None:
    def told(limit_s: float) -> set[tuple[str, str]]:
        return {
            (namespace, target)
            for namespace, interface, own, target in (
                (EQUIPMENT, "eq", "10.9.0.2", "10.9.0.1"),
                (EQUIPMENT, "eq", "10.9.0.2", "192.0.2.1"),
                (UPLINK, "far", "192.0.2.2", "192.0.2.1"),
                (UPLINK, "far", "192.0.2.2", "10.9.0.1"),
            )
            if _resolves(networks, namespace, interface, own, target, limit_s)
        }

    own = {(EQUIPMENT, "10.9.0.1"), (UPLINK, "192.0.2.1")}
    assert told(ARRIVAL_LIMIT_S) == own | {(EQUIPMENT, "192.0.2.1"), (UPLINK, "10.9.0.1")}  # the control
    set_rules(networks, *LEASE, "--rules-only")
    assert told(SETTLE_S) == own


def test_the_equipment_gets_its_address_and_the_time_and_nobody_else_gets_any(networks: Networks) -> None:
    with isolated(networks, *LEASE).process:
        networks.run(EQUIPMENT, "ip", "address", "flush", "dev", "eq")
        assert _dhcp(networks) == {
            "ip": "10.9.0.2",
            "subnet": "255.255.255.0",
            "ntpsrv": "10.9.0.1",
        }  # no router, no names
        networks.run(EQUIPMENT, "ip", "address", "add", "10.9.0.2/24", "dev", "eq")
        assert [answer[0] & 0x3F for answer in _answers(networks, [QUESTION], ARRIVAL_LIMIT_S)] == [0x24]
        networks.run(EQUIPMENT, "ip", "link", "set", "eq", "address", "02:00:00:00:00:99")
        assert _dhcp(networks, tries=2) is None
        assert _answers(networks, [QUESTION], SETTLE_S) == []  # another machine with the address of the first


def test_dnsmasq_alone_knows_strangers_from_its_own(networks: Networks) -> None:
    """The second layer: its configuration without the rules."""
    shown = networks.run(GUARDIAN, ARMILLARY, "guardian", "isolate", *SIDES, *LEASE, "--dry-run", "--json").stdout
    configuration = json.loads(shown)["dnsmasq"]
    dnsmasq = networks.command(GUARDIAN, "dnsmasq", "--conf-file=-")
    with OwnProcess(dnsmasq, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdin is not None
        server.stdin.write(configuration)
        server.stdin.close()
        assert _dhcp(networks) is not None  # the control; it asks until it is answered
        networks.run(EQUIPMENT, "ip", "link", "set", "eq", "address", "02:00:00:00:00:99")
        assert _dhcp(networks, tries=2) is None


def test_rules_can_be_loaded_where_no_interface_is_yet(networks: Networks) -> None:
    """As a host's boot does: the text that --dry-run shows, twice, in a network without these interfaces."""
    shown = networks.run(GUARDIAN, ARMILLARY, "guardian", "isolate", *SIDES, *LEASE, "--dry-run", "--json").stdout
    file = networks.folder / "guardian.nft"
    file.write_text(json.loads(shown)["nftables"])
    for _ in range(2):
        networks.run(UPLINK, "nft", "-f", str(file))
    assert "hook forward" in networks.run(UPLINK, "nft", "list", "ruleset").stdout
    assert networks.run(GUARDIAN, "nft", "list", "ruleset").stdout == ""  # showing set nothing


def test_the_time_server_amplifies_nothing(networks: Networks) -> None:
    monlist, control = b"\x17\x00\x03\x2a" + bytes(44), b"\x16\x01" + bytes(46)
    with isolated(networks).process:
        answers = _answers(networks, [monlist, control, monlist * 4, QUESTION], ARRIVAL_LIMIT_S)
        assert [len(answer) for answer in answers] == [48]  # the control: of the question, which came last
        answers = _answers(networks, [QUESTION] * 300, ARRIVAL_LIMIT_S)
        assert {len(answer) for answer in answers} == {48}
        assert len(answers) <= BURST + 5  # the address's allowance, and what some seconds add
        assert networks.crossed() == set()


@needs("ntpdig")
@pytest.mark.parametrize("known", [True, False], ids=["set", "never-set"])
def test_a_foreign_client_takes_the_time_and_not_that_of_a_clock_nobody_set(networks: Networks, known: bool) -> None:
    with OwnProcess(
        networks.command(GUARDIAN, sys.executable, "-c", SERVE, str(known)), stdout=subprocess.PIPE
    ) as server:
        assert server.readline() == "serves\n"
        done = networks.run(EQUIPMENT, "ntpdig", "-j", "-t", "5", "10.9.0.1", check=False)
        if known:
            found = json.loads(done.stdout)
            assert (found["host"], found["stratum"], found["leap"]) == ("10.9.0.1", STRATUM, "no-leap")
            assert abs(found["offset"]) < 1.0
        else:
            assert "no eligible servers" in done.stdout + done.stderr


def test_rules_that_were_taken_away_are_set_anew_and_what_is_refused_is_told(networks: Networks) -> None:
    isolation = isolated(networks, *LEASE)
    with isolation.process:
        isolation.process.send_signal(signal.SIGSTOP)  # so that it cannot see to it before the control is done
        networks.run(GUARDIAN, "nft", "flush", "ruleset")
        assert networks.is_open()  # the control
        isolation.process.send_signal(signal.SIGCONT)
        isolation.until("rules-set-anew")
        assert networks.crossed() == set()
        told = {str(isolation.until("refused")["rule"]) for _ in range(5)}
        assert {"spoofed", "misdirected", "ipv6_equipment"} <= told


def test_rules_outlive_the_process_and_the_next_takes_over(networks: Networks) -> None:
    first = isolated(networks, *LEASE)
    with first.process:
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(20)
    assert networks.crossed() == set()
    second = isolated(networks, *LEASE)  # dnsmasq of the first has the port until it is ended
    with second.process:
        assert _dhcp(networks) is not None
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(20) == 0
    assert networks.crossed() == set()


def test_interfaces_that_hang_together_are_refused_by_the_command(networks: Networks) -> None:
    for equipment, uplink, said in (
        ("geq", "geq", "one wire"),
        ("geq", "none0", "no interface"),
        ("gup", "lo", "two interfaces"),
    ):
        words = ("guardian", "isolate", "--equipment", equipment, "--uplink", uplink, "--rules-only")
        done = networks.run(GUARDIAN, ARMILLARY, *words, check=False)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert networks.run(GUARDIAN, "nft", "list", "ruleset").stdout == ""


QUESTION = b"\x23" + bytes(47)  # SNTP, version 4, client

# A time server of ours on the guardian's side, with a clock of known quality.
SERVE = """
import asyncio, sys
from ipaddress import IPv4Address
from armillary.engines.isolation.time_server import TimeServer
from armillary.wire.equipment.sntp import ClockState
async def serve():
    await TimeServer(lambda: ClockState(sys.argv[1] == "True", 1000)).listen("geq", IPv4Address("10.9.0.1"))
    print("serves", flush=True)
    await asyncio.Event().wait()
asyncio.run(serve())
"""


def received(client: socket.socket, limit_s: float) -> list[bytes]:
    """The datagrams of a socket: the first within the limit, and what follows at once."""
    found = []
    while select.select([client], [], [], SETTLE_S if found else limit_s)[0]:
        try:
            found.append(client.recv(1024))
        except ConnectionRefusedError:  # nobody listens there: an answer, and none that counts
            continue
    return found


def _dhcp(networks: Networks, *, tries: int = 20) -> dict[str, str] | None:
    """What busybox's DHCP client gets on the equipment's side, as its script is told; None for nothing."""
    script = Path(networks.folder, "leased")
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && env >"$0.env"\nexit 0\n')
    script.chmod(0o755)
    words = (
        "busybox",
        "udhcpc",
        "-i",
        "eq",
        "-n",
        "-q",
        "-f",
        "-t",
        str(tries),
        "-T",
        "1",
        "-A",
        "0",
        "-s",
        str(script),
    )
    done = networks.run(EQUIPMENT, *words, check=False)
    if done.returncode != 0:
        return None
    told = dict(line.split("=", 1) for line in Path(f"{script}.env").read_text().splitlines() if "=" in line)
    return {name: told[name] for name in ("ip", "subnet", "router", "dns", "domain", "ntpsrv") if name in told}


def _answers(networks: Networks, questions: list[bytes], limit_s: float) -> list[bytes]:
    """What the guardian's time server answers to one client that asks all of it, the last of it within the limit."""
    client = networks.socket(EQUIPMENT, socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("10.9.0.1", 123))
    for question in questions:
        client.send(question)
    return received(client, limit_s)


def _resolves(networks: Networks, namespace: str, interface: str, own: str, target: str, limit_s: float) -> bool:
    """Whether an ARP request for the target is answered (RFC 826) within the limit."""
    raw = networks.socket(namespace, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    raw.bind((interface, 0x0806))
    mac = raw.getsockname()[4]
    body = struct.pack(
        ">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, socket.inet_aton(own), bytes(6), socket.inet_aton(target)
    )
    raw.send(b"\xff" * 6 + mac + b"\x08\x06" + body)
    while select.select([raw], [], [], limit_s)[0]:
        frame = raw.recv(128)
        if frame[20:22] == b"\x00\x02" and frame[28:32] == socket.inet_aton(target):
            return True
    return False
