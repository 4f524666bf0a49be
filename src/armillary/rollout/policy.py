# SPDX-License-Identifier: Apache-2.0
"""What an operator asks of a roll-out, in numbers, and the JSON form it is stored and served in."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import InvalidArgumentError

MAX_COHORTS = 20  # more steps than anybody watches; bounds the plan
MAX_RING_DEVICES = 1000  # devices that somebody names one by one; whoever has more takes percentages
MAX_RING_GROUPS = 20  # device groups of one ring: more are a feed, or a catalog
MAX_RING_NAME = 64  # fits a column of the console
MAX_GROUP_PATH = 256  # longer than any catalog, product and group have names together
_DEVICE_ID_LENGTH: Final = 128  # hex digits

_REMEDY = "docs/concepts/rollouts.md explains each number and its allowed range."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Devices that go before the percentages because somebody chose them: those of the laboratory, of a friendly site.

    Attributes:
        name: What people call it.
        devices: Device ids; those that are not in the roll-out's reach are passed over.
        groups: Device groups, all of whose devices go with the ring, as ``CATALOG/PRODUCT/GROUP``.
    """

    name: str
    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= MAX_RING_NAME or not self.name.isprintable() or self.name != self.name.strip():
            raise InvalidArgumentError(
                f"cohort name: expected 1 to {MAX_RING_NAME} printable characters, got {self.name!a:.80}",
                remedy=_REMEDY,
            )
        if not self.devices and not self.groups:
            raise InvalidArgumentError(
                f"cohort {self.name}: expected devices or device groups, got none", remedy="Name those that go first."
            )
        for what, named, most in (
            ("devices", self.devices, MAX_RING_DEVICES),
            ("device groups", self.groups, MAX_RING_GROUPS),
        ):
            if len(named) > most:
                raise InvalidArgumentError(
                    f"cohort {self.name}: expected at most {most} {what}, got {len(named)}",
                    remedy="Name fewer, or use percentages.",
                )
        for path in self.groups:
            parts = path.split("/")
            if len(path) > MAX_GROUP_PATH or not path.isprintable() or len(parts) != 3 or not all(parts):
                raise InvalidArgumentError(
                    f"cohort {self.name}: expected device groups as CATALOG/PRODUCT/GROUP, got {path!a:.80}",
                    remedy="List them: armillary device-group list.",
                )
        for device_id in self.devices:
            if len(device_id) != _DEVICE_ID_LENGTH or not set(device_id) <= set("0123456789abcdef"):
                raise InvalidArgumentError(
                    f"cohort {self.name}: expected device ids of {_DEVICE_ID_LENGTH} hex digits, got {device_id!a:.40}",
                    remedy="List the ids: armillary device list.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPolicy:
    """How careful a roll-out is.

    Attributes:
        rings: Named devices that go first, ring by ring. Each ring is a cohort of its own.
        cohorts: Cumulative percentages of the group, strictly rising, last 100: ``(1, 10, 100)`` is three cohorts.
            Every cohort has at least one device while any device is left.
        success_percent: Share of the newest cohort that must be confirmed before the next starts (1 to 100).
        soak_s: Seconds that must pass after the cohort reached ``success_percent``, without a hold.
        min_failures: Failures below which a roll-out is never held: one unlucky device proves nothing.
        failure_percent: Share of finished devices that may fail; above it (and ``min_failures``) it is held.
        timeout_s: Seconds after which a started device that did not confirm counts as failed.
        hold_on_severity: An open finding of this severity or above, about a started device or one of the images,
            holds the roll-out; "" never.
        false_hold_percent: At most this share of releases that are as good as the one before is held by the test
            against the one before; 0 switches the test off.
        lease_s: Seconds for which a device may install what it was offered without asking again; 0 for no end.
        roll_back_on_hold: Roll back at once when held by the rules instead of waiting for a person.
    """

    rings: tuple[Ring, ...] = ()
    cohorts: tuple[int, ...] = (5, 25, 100)
    success_percent: int = 95
    soak_s: int = 3600
    min_failures: int = 2
    failure_percent: int = 5
    timeout_s: int = 24 * 3600
    hold_on_severity: str = "high"
    false_hold_percent: int = 1
    lease_s: int = 24 * 3600
    roll_back_on_hold: bool = False

    def __post_init__(self) -> None:
        self._check_steps()
        for name, low, high in (
            ("success_percent", 1, 100),
            ("soak_s", 0, 90 * 86400),
            ("min_failures", 1, 1_000_000),
            ("failure_percent", 0, 99),
            ("timeout_s", 1, 90 * 86400),
            ("false_hold_percent", 0, 50),
            ("lease_s", 0, 90 * 86400),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidArgumentError(f"{name}: expected {low} to {high}, got {value}", remedy=_REMEDY)
        if self.hold_on_severity not in ("", "low", "medium", "high", "critical"):
            raise InvalidArgumentError(
                f"hold_on_severity: expected low, medium, high, critical or nothing, got {self.hold_on_severity!r}",
                remedy=_REMEDY,
            )

    def _check_steps(self) -> None:
        steps = self.cohorts
        if (
            not 1 <= len(steps) <= MAX_COHORTS
            or steps[-1] != 100
            or any(b <= a for a, b in itertools.pairwise(steps))
            or steps[0] < 1
        ):
            raise InvalidArgumentError(
                f"cohorts: expected 1 to {MAX_COHORTS} rising percentages that end with 100, got {list(steps)}",
                remedy=_REMEDY,
            )
        if len(self.rings) > MAX_COHORTS:
            raise InvalidArgumentError(
                f"rings: expected at most {MAX_COHORTS}, got {len(self.rings)}", remedy="Join some of them."
            )
        for what, names in (
            ("cohort", [ring.name.casefold() for ring in self.rings]),
            ("device", [device for ring in self.rings for device in ring.devices]),
            ("device group", [group.casefold() for ring in self.rings for group in ring.groups]),
        ):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise InvalidArgumentError(
                    f"rings: the {what} {twice[0]:.40} is there twice", remedy="It belongs to one cohort."
                )

    @property
    def steps(self) -> int:
        """How many cohorts there are: rings, then percentages."""
        return len(self.rings) + len(self.cohorts)

    def step_name(self, index: int) -> str:
        """What a cohort is called: its ring's name, or up to which percentage it reaches."""
        rings = len(self.rings)
        return self.rings[index].name if index < rings else f"to {self.cohorts[index - rings]}%"


def to_json(policy: RolloutPolicy) -> dict[str, Any]:
    """The policy as a JSON object."""
    document = dataclasses.asdict(policy)
    document["cohorts"] = list(policy.cohorts)
    document["rings"] = [
        {"name": ring.name, "devices": list(ring.devices), "groups": list(ring.groups)} for ring in policy.rings
    ]
    return document


def from_json(document: Mapping[str, Any]) -> RolloutPolicy:
    """The policy in a JSON object; absent fields take their defaults.

    Raises:
        InvalidArgumentError: unknown field, wrong type or value out of range.
    """
    defaults = RolloutPolicy()
    values: dict[str, Any] = {}
    for name, value in document.items():
        default = getattr(defaults, name, None)
        if name not in RolloutPolicy.__dataclass_fields__:
            raise InvalidArgumentError(f"unknown policy field {name!r}", remedy=_REMEDY)
        if name == "cohorts":
            if not isinstance(value, (list, tuple)) or any(type(step) is not int for step in value):
                raise InvalidArgumentError(f"cohorts: expected a list of integers, got {value!r}", remedy=_REMEDY)
            values[name] = tuple(value)
        elif name == "rings":
            values[name] = _rings(value)
        elif type(value) is not type(default):
            raise InvalidArgumentError(f"{name}: expected {type(default).__name__}, got {value!r}", remedy=_REMEDY)
        else:
            values[name] = value
    return RolloutPolicy(**values)


def _rings(value: Any) -> tuple[Ring, ...]:
    """The rings of a JSON array of objects with ``name`` and ``devices``, ``groups`` or both."""
    if not isinstance(value, (list, tuple)):
        raise InvalidArgumentError(f"rings: expected a list, got {value!a:.80}", remedy=_REMEDY)
    rings = []
    for item in value:
        if (
            not isinstance(item, Mapping)
            or not item.keys() <= {"name", "devices", "groups"}
            or type(item.get("name")) is not str
            or not _are_texts(item.get("devices", ()))
            or not _are_texts(item.get("groups", ()))
        ):
            raise InvalidArgumentError(
                f"rings: expected objects with a name and lists of devices or groups, got {item!a:.80}",
                remedy=_REMEDY,
            )
        devices = tuple(device.lower() for device in item.get("devices", ()))
        rings.append(Ring(name=item["name"], devices=devices, groups=tuple(item.get("groups", ()))))
    return tuple(rings)


def _are_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(type(one) is str for one in value)
