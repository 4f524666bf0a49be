# SPDX-License-Identifier: Apache-2.0
"""Small parts of a guardian: its clock, what it finds around it, where equipment is, what it keeps of commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.content import equipment as profiles
from armillary.guard.situation import CommandHistory, Moment
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.durable_file import FILE_LIMIT_BYTES, read_if_there, write_file
from armillary.guardian.history import kept_history
from armillary.guardian.placing import placed
from armillary.guardian.surroundings import surroundings
from armillary.wire.equipment.faults import ConfigurationError, ProfileError
from armillary.wire.equipment.message import ClockQuality
from armillary.wire.equipment.profile import ModbusTcp

RIGHT = 1_795_000_000.0  # What time it is
ENVIRONMENT = {"ARMILLARY_DATA": "/mnt/data", "ARMILLARY_DEVICE_ID": "d", "ARMILLARY_HUB_HOST": "hub.example"}


class Clocks:
    """A wall clock that anybody can set, and one that only runs."""

    def __init__(self) -> None:
        self.wall, self.monotonic = RIGHT, 100.0
        self.guardian = GuardianClock(wall=lambda: self.wall, monotonic=lambda: self.monotonic)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds
        self.guardian.look()


def test_the_time_is_unknown_until_the_hub_has_said_it_and_then_nobody_can_change_it():
    clocks = Clocks()
    clocks.wall -= 86400  # It was never set
    clocks.run(1)
    assert clocks.guardian.quality is ClockQuality.UNSYNCED
    assert not clocks.guardian.moment.synced
    assert clocks.guardian.told(RIGHT)
    clocks.run(10)
    assert clocks.guardian.now().wall == pytest.approx(RIGHT + 10)
    clocks.wall -= 3600 * 24 * 365
    clocks.run(10)
    assert clocks.guardian.now().wall == pytest.approx(RIGHT + 20)
    assert clocks.guardian.moment.synced
    assert not clocks.guardian.told(RIGHT + 20), "it was known already"


def test_what_the_sandbox_says_is_read():
    found = surroundings({**ENVIRONMENT, "ARMILLARY_UART_UART2": "/dev/UART2", "PATH": "/usr/bin"}, Path("/"))
    assert (found.data, found.hub_host, found.hub_port) == (Path("/mnt/data"), "hub.example", 8883)
    assert found.serial_ports == {"UART2": Path("/dev/UART2")}
    assert found.authentication is None


@pytest.mark.parametrize("change", [{"ARMILLARY_DATA": ""}, {"ARMILLARY_DEVICE_ID": ""}, {"ARMILLARY_HUB_PORT": "x"}])
def test_what_is_missing_around_a_guardian_is_named(change: dict[str, str]):
    with pytest.raises(ConfigurationError) as refused:
        surroundings({**ENVIRONMENT, **change}, Path("/"))
    assert next(iter(change)) in refused.value.message


def test_equipment_may_be_on_another_link_than_its_profile_says():
    coffee = profiles.load("coffee")
    assert placed(coffee, {}) is coffee
    moved = placed(coffee, {"protocol": "modbus-tcp", "host": "10.9.0.2"})
    assert isinstance(moved.link, ModbusTcp)
    assert (moved.link.host, moved.link.unit) == ("10.9.0.2", 1)
    assert moved.points == coffee.points
    for wrong in ({"host": "10.9.0.2"}, {"baud": 7}, {"protocol": "opc-ua", "url": "opc.tcp://10.9.0.2:4840"}):
        with pytest.raises(ProfileError):
            placed(coffee, wrong)


def test_files_are_whole_private_and_bounded(tmp_path: Path):
    path = tmp_path / "folder" / "file"
    assert read_if_there(path) is None
    write_file(path, b"one")
    write_file(path, b"two")
    assert read_if_there(path) == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["file"], "nothing half-done stays"
    path.write_bytes(bytes(FILE_LIMIT_BYTES + 1))
    with pytest.raises(OSError, match="more than"):
        read_if_there(path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"machine": 1}', b'{"machine": "", "history": {}, "pending": 3}']
)
def test_a_history_that_cannot_be_read_revives_no_command(tmp_path: Path, content: bytes):
    path = tmp_path / "espresso1.commands"
    path.write_bytes(content)
    kept = kept_history(path, Moment(RIGHT, 100.0, synced=True))
    assert kept.interrupted is None
    assert kept.history.floor == RIGHT


def test_a_history_is_kept_with_what_is_under_way(tmp_path: Path):
    now = Moment(RIGHT, 100.0, synced=True)
    kept = kept_history(tmp_path / "espresso1.commands", now)
    assert isinstance(kept.history, CommandHistory)
    kept.history.spend("n" * 22, RIGHT + 60, now)
    kept.keep(now, {"attempt": {"command": "setBrewTemp"}})
    again = kept_history(tmp_path / "espresso1.commands", now)
    assert again.history.nonces == {"n" * 22: RIGHT + 60}
    assert again.interrupted == {"attempt": {"command": "setBrewTemp"}}
