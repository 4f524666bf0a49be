# SPDX-License-Identifier: Apache-2.0
"""What a command is judged by beside its own words: the state of the equipment, the moment, and what went before.

Time is given in two clocks. Rates and ages count by the monotonic one (``CLOCK_BOOTTIME``: seconds since the machine
started), so that a wall clock that is set, forwards or back, changes none of them. Only the expiry of a command needs
the wall clock, and is never judged by an earlier one than before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.profile import Condition, Point, Profile
from armillary.wire.equipment.reading import Quality, Reading, Value

# A polled point is fresh for two periods of its group and a second: one read may fail, a second one may not.
FRESH_PERIODS: Final = 2
FRESH_MARGIN_S: Final = 1.0
# What equipment says by itself (frames) holds an interlock for this long.
FRAME_FRESH_S: Final = 60.0
# A set value that equipment says by itself changes by commands alone: it stands until the next daily word of it.
FRAME_STANDS_S: Final = 86_400.0
# A person at the equipment agrees to one command, which comes within this time.
CONSENT_S: Final = 60.0
# Nonces are kept until their command is over (at most 300 s). More than this many at once are refused: nobody gives
# two commands a second for five minutes.
NONCES_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by both clocks."""

    unix: float  # Seconds, as right as the guardian knows
    monotonic: float  # Seconds since the machine started; never steps
    synced: bool  # A source that can be relied on has said what time it is


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest reading of a point, and when it was acquired."""

    reading: Reading
    monotonic: float


@dataclass(slots=True)
class CommandHistory:
    """What the guard remembers of commands. Stored before each request goes out, so that it outlives the process."""

    last: dict[str, float] = field(default_factory=dict)  # Command -> monotonic seconds of its last permit
    nonces: dict[str, float] = field(default_factory=dict)  # Nonce -> when its command expires, Unix seconds
    floor: float = 0.0  # Unix seconds: the latest time by which a command was judged; none that expires before is taken
    consents: dict[str, float] = field(default_factory=dict)  # Command -> monotonic seconds of a consent not yet used
    lost_at: float | None = None  # Monotonic seconds at which the memory of earlier commands was found to be lost

    def last_of(self, command: str) -> float | None:
        """When a command was last permitted, or may have been; None: never."""
        return self.last.get(command, self.lost_at)

    def spend(self, nonce: str, expires_at: float, now: Moment) -> None:
        """Take a nonce for ever.

        Raises:
            GuardRefusedError: ``replayed``: it was taken before; ``rate``: too many commands within their lifetimes.
        """
        if nonce in self.nonces:
            refuse("replayed", "this command was given before: a nonce is used once")
        self.floor = max(self.floor, now.unix)
        self.nonces = {each: until for each, until in self.nonces.items() if until > self.floor}
        if len(self.nonces) >= NONCES_MAX:
            refuse("rate", f"more than {NONCES_MAX} commands within their lifetimes")
        self.nonces[nonce] = expires_at

    def document(self, now: Moment) -> dict[str, object]:
        """Return what is to be stored, as plain values. Consents are of one process and are not."""
        return {
            "unix": now.unix,
            "monotonic": now.monotonic,
            "floor": self.floor,
            "last": dict(self.last),
            "nonces": dict(self.nonces),
            "lost_at": self.lost_at,
        }


def lost(now: Moment) -> CommandHistory:
    """Return the history of a guardian that lost it: each command may have been permitted until this moment."""
    return CommandHistory(floor=now.unix, lost_at=now.monotonic)


def restored(document: Mapping[str, object], now: Moment, *, same_boot: bool) -> CommandHistory:
    """Return the history that was stored.

    After a start of the machine the monotonic clock began anew: the time between is what the wall clock says when it
    is known to be right, else none, so that every interval is waited for once more.

    Raises:
        ValueError: it is not what was stored.
    """
    last, nonces = _numbers(document.get("last")), _numbers(document.get("nonces"))
    unix, monotonic = _number(document.get("unix")), _number(document.get("monotonic"))
    lost_at = None if document.get("lost_at") is None else _number(document["lost_at"])
    if not same_boot:
        passed = max(0.0, now.unix - unix) if now.synced else 0.0
        last = {name: now.monotonic - passed - max(0.0, monotonic - at) for name, at in last.items()}
        lost_at = None if lost_at is None else now.monotonic - passed - max(0.0, monotonic - lost_at)
    return CommandHistory(last=last, nonces=nonces, floor=_number(document.get("floor")), lost_at=lost_at)


@dataclass(slots=True, kw_only=True)
class Situation:
    """What is known of one piece of equipment when a command for it comes."""

    readings: Mapping[str, Seen]  # By point
    history: CommandHistory


def check_interlock(profile: Profile, when: Iterable[Condition], readings: Mapping[str, Seen], now: Moment) -> None:
    """Check that all conditions hold, each by a good and fresh reading.

    Raises:
        GuardRefusedError: ``interlock``.
    """
    points = {point.name: point for point in profile.all_points}
    for condition in when:
        reading = _relied_on(profile, points.get(condition.point), readings, now, FRAME_FRESH_S)
        if reading is None:
            refuse("interlock", f"there is no good and fresh reading of {condition.point}")
        if not any(_same(reading.value, value) for value in condition.values):
            wanted = ", ".join(map(str, condition.values))
            refuse("interlock", f"{condition.point} is {reading.value}; it must be {wanted}")


def standing_value(
    profile: Profile, point: Point | None, situation: Situation, now: Moment, since: float | None
) -> Reading:
    """Return the value that a command starts from; it was read after the command's last write (``since``).

    Raises:
        GuardRefusedError: ``step``: nothing shows what stands now.
    """
    reading = _relied_on(profile, point, situation.readings, now, FRAME_STANDS_S)
    if point is None or reading is None:
        refuse("step", "what stands now is not known: there is no good and fresh reading of it")
    if since is not None and situation.readings[point.name].monotonic <= since:
        refuse("step", f"{point.name} was not read again since it was last written")
    return reading


def _relied_on(
    profile: Profile, point: Point | None, readings: Mapping[str, Seen], now: Moment, framed_s: float
) -> Reading | None:
    seen = None if point is None else readings.get(point.name)
    if point is None or seen is None or seen.reading.quality is not Quality.GOOD or seen.reading.value is None:
        return None
    period = profile.groups.get(point.group)
    limit = framed_s if period is None else FRESH_PERIODS * period + FRESH_MARGIN_S
    return seen.reading if 0 <= now.monotonic - seen.monotonic <= limit else None


def _same(value: Value | None, wanted: Value) -> bool:
    """Equal and of one type: true is not 1, and nothing is equal to no value."""
    return value == wanted and isinstance(value, (bool, str)) == isinstance(wanted, (bool, str))


def _numbers(document: object) -> dict[str, float]:
    if not isinstance(document, dict):
        raise ValueError("a history has numbers by name")  # noqa: TRY004 - what is wrong is the content of a file
    return {str(name): _number(number) for name, number in document.items()}


def _number(document: object) -> float:
    if isinstance(document, bool) or not isinstance(document, (int, float)) or not math.isfinite(document):
        raise ValueError("a history has finite numbers")
    return float(document)


def refuse(rule: str, message: str) -> NoReturn:
    """Raise the refusal of the guard."""
    raise GuardRefusedError(rule, message)
