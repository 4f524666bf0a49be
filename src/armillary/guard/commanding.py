# SPDX-License-Identifier: Apache-2.0
"""Judges a command that came for equipment, and turns it into the one request that carries it out.

The checks, in this order; the first that fails names the refusal:

(1) listed: the profile has such a command.
(2) expiry: by a clock that is known to be right; the command ends within 300 s, and not before any time that was seen.
(3) nonce: not used before. It is used up now, whatever comes of the command: a refused one is not tried later by
    whoever kept a copy.
(4) value: of the command's type and within its range, in engineering units; a number without its NaN and infinities.
(5) rate: the least time since the last permit for the command has passed, by the monotonic clock.
(6) step: no more than the largest change away from what stands, by a good reading made after the last write.
(7) interlock: every condition holds, by good and fresh readings.
(8) consent: a person at the equipment agreed within the last minute; it is used up.
(9) the frame itself, by :func:`~armillary.guard.deciding.decide`: what rounding made of the value is in range too.

The caller stores the history of the situation before it sends, reads back what was written where the profile says
``verify``, and records every attempt (``guard/auditing.py``).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from armillary.guard.allow_list import COIL_VALUES, VARIANTS, AllowList, WriteRule
from armillary.guard.deciding import decide
from armillary.guard.permit import Permit
from armillary.guard.raw_range import FLOAT_CODES
from armillary.guard.situation import CONSENT_S, Moment, Situation, check_interlock, refuse, standing_value
from armillary.wire.equipment.profile import (
    RAW_KINDS,
    Command,
    ModbusAddress,
    NodeAddress,
    Profile,
    standing_point,
)
from armillary.wire.equipment.raw_value import UnwritableValueError, raw_number, value_of
from armillary.wire.equipment.reading import Value
from armillary.wire.equipment.request import FrameRequest, ModbusRequest, NodeWrite, Request

# A command from the cloud is over after this at the latest. Longer than a message takes, shorter than a shift.
EXPIRY_MAX_S: Final = 300.0
NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22}")  # 128 bits, base64url
PAYLOAD_KEYS: Final = frozenset(("value", "nonce", "expires"))
EXPIRES: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command as somebody asked for it; nothing in it is verified but its form."""

    name: str
    value: object  # What came; None where a command has no value
    nonce: str  # 22 base64url characters
    expires_at: float  # Unix seconds


def read_command(name: str, payload: object) -> CommandRequest:
    """Read the payload of a direct method: ``{"value": 93.0, "nonce": "...", "expires": "2026-11-28T08:00:00Z"}``.

    Raises:
        GuardRefusedError: ``expired`` without a nonce or an expiry of this form, ``value`` for anything else.
    """
    if not isinstance(payload, Mapping) or not payload.keys() <= PAYLOAD_KEYS:
        refuse("value", "the payload of a command has value, nonce and expires, and nothing else")
    nonce, expires = payload.get("nonce"), payload.get("expires")
    if not isinstance(nonce, str) or not NONCE.fullmatch(nonce):
        refuse("expired", "a command has a nonce of 22 base64url characters")
    if not isinstance(expires, str) or not EXPIRES.fullmatch(expires):
        refuse("expired", "a command says when it expires, such as 2026-11-28T08:00:00Z")
    try:
        expires_at = datetime.fromisoformat(expires).replace(tzinfo=UTC).timestamp()
    except ValueError:
        refuse("expired", "a command says when it expires, and this is no moment")
    return CommandRequest(name, payload.get("value"), nonce, expires_at)


def judge_command(
    profile: Profile, allow: AllowList, request: CommandRequest, situation: Situation, now: Moment
) -> Permit[Request]:
    """Return the permit for the request that carries out a command. The situation's history is changed by it.

    Raises:
        GuardRefusedError: with the rule of the first check that failed.
    """
    command = next((each for each in profile.commands if each.name == request.name), None)
    if command is None:  # (1)
        refuse("not-listed" if profile.commands else "read-only", f"the profile has no command {request.name!r:.66}")
    check_fresh(request.nonce, request.expires_at, situation, now)  # (2), (3)
    value = checked_value(command, request.value)  # (4)
    check_rate(command.name, command.every_s, situation, now)  # (5)
    if command.step is not None:
        _check_step(profile, command, value, situation, now)  # (6)
    check_interlock(profile, command.when, situation.readings, now)  # (7)
    if command.local_consent:
        check_consent(command.name, situation, now)  # (8)
    permit = decide(allow, _request(allow, command, value))  # (9)
    situation.history.last[command.name] = now.monotonic
    situation.history.consents.pop(command.name, None)
    return permit


def check_fresh(nonce: str, expires_at: float, situation: Situation, now: Moment) -> None:
    """Checks (2) and (3).

    Raises:
        GuardRefusedError: ``expired``, ``replayed`` or ``rate``.
    """
    if not now.synced:
        refuse("expired", "the guardian does not know what time it is, so that no command from outside is fresh")
    if not math.isfinite(expires_at) or expires_at <= now.unix:
        refuse("expired", "the command has expired")
    if expires_at > now.unix + EXPIRY_MAX_S:
        refuse("expired", f"a command expires within {EXPIRY_MAX_S:.0f} s, so that nobody can keep it")
    if expires_at <= situation.history.floor:
        refuse("expired", "the command expired before the clock was set back")
    situation.history.spend(nonce, expires_at, now)


def check_rate(name: str, every_s: float, situation: Situation, now: Moment) -> None:
    """Check (5).

    Raises:
        GuardRefusedError: ``rate``.
    """
    last = situation.history.last_of(name)
    if last is not None and not now.monotonic - last >= every_s:
        refuse("rate", f"{name} is given every {every_s:g} s at most; {now.monotonic - last:.1f} s have passed")


def checked_value(command: Command, asked: object) -> Value | None:
    """Check (4): return the value, as it will be after its rounding to what the equipment can hold.

    Raises:
        GuardRefusedError: ``value``.
    """
    if command.address is None or command.fixed is not None:
        if asked is not None:
            refuse("value", f"{command.name} has no value")
        return command.fixed
    if command.raw == "bool":
        if not isinstance(asked, bool):
            refuse("value", f"{command.name} is true or false, not {_shown(asked)}")
        return asked
    if isinstance(asked, bool) or not isinstance(asked, (int, float)) or not _is_finite(asked):
        refuse("value", f"{command.name} is a finite number, not {_shown(asked)}")
    if command.low is None or command.high is None or not command.low <= asked <= command.high:
        refuse("value", f"{command.name} is {command.low} to {command.high} {command.unit}, not {_shown(asked)}")
    held = value_of(raw_value(command, asked), command.scale, command.offset)
    if held is None:
        refuse("value", f"{command.name} cannot hold {_shown(asked)}")
    return held


def _check_step(profile: Profile, command: Command, value: Value | None, situation: Situation, now: Moment) -> None:
    since = situation.history.last_of(command.name)
    stands = standing_value(profile, standing_point(profile, command), situation, now, since).value
    if isinstance(stands, (bool, str)) or stands is None or isinstance(value, (bool, str)) or value is None:
        refuse("step", "what stands now is no number")
    change = abs(_written(value) - _written(stands))
    if command.step is None or change > _written(command.step):
        refuse("step", f"{command.name} changes by {command.step} {command.unit} at most; {stands} stands")


def check_consent(name: str, situation: Situation, now: Moment) -> None:
    """Check (8).

    Raises:
        GuardRefusedError: ``consent``.
    """
    given = situation.history.consents.get(name)
    if given is None or not 0 <= now.monotonic - given <= CONSENT_S:
        refuse("consent", f"nobody at the equipment agreed to {name} within the last {CONSENT_S:.0f} s")


def _request(allow: AllowList, command: Command, value: Value | None) -> Request:
    """The request that carries a checked value; it is judged by itself afterwards."""
    if isinstance(command.address, NodeAddress):
        return NodeWrite(command.address.node, _node_value(command, value), VARIANTS[RAW_KINDS[command.raw].code])
    rule = next(iter(allow.writes_of(command.name)), None)
    if rule is None:
        refuse("not-listed", f"the allow-list has no write for {command.name}")
    data = b""
    if value is not None:
        coil = isinstance(command.address, ModbusAddress) and command.raw == "bool"
        data = COIL_VALUES[bool(value)] if coil else _data(rule, raw_value(command, value))
    if isinstance(command.address, ModbusAddress):
        return ModbusRequest(-1 if allow.unit is None else allow.unit, rule.head + data)
    return FrameRequest(rule.head[0], data)


def _data(rule: WriteRule, number: float) -> bytes:
    """The data of a write of one number; bytes before it are 0."""
    (item,) = rule.ranges
    return bytes(rule.length - len(rule.head) - item.layout.size) + item.layout.encode(number)


def raw_value(command: Command, value: Value) -> float:
    """The raw number of a checked value, as it goes onto the wire.

    Raises:
        GuardRefusedError: ``value``.
    """
    kind = RAW_KINDS[command.raw]
    if kind.size == 0:
        return int(bool(value))
    try:
        number = raw_number(kind, value, command.scale, command.offset)
    except (UnwritableValueError, OverflowError):
        refuse("value", f"{command.name} cannot be {_shown(value)}")
    if kind.code not in FLOAT_CODES:
        return number
    # A float takes the nearest number that its bits can hold, and the zero without a sign
    return float(struct.unpack(">" + kind.code, struct.pack(">" + kind.code, number))[0]) + 0.0


def _node_value(command: Command, value: Value | None) -> Value:
    if command.raw == "bool":
        return bool(value)
    if value is None:
        refuse("value", f"{command.name} needs a value")
    return raw_value(command, value)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # A whole number beyond every float
        return False


def _written(number: float) -> Fraction:
    """The number as it is written in decimals: 94.5 is two from 92.5, whatever their doubles are."""
    return Fraction(repr(number))


def _shown(value: object) -> str:
    """A foreign value for a message: short, and nothing of what a container holds."""
    return f"{value!r:.40}" if isinstance(value, (bool, float, str)) or value is None else _shown_other(value)


def _shown_other(value: object) -> str:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a huge number"
    return f"a {type(value).__name__}"
