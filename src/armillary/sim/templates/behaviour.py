# SPDX-License-Identifier: Apache-2.0
"""Behaviour of a simulated device: its signals, its incidents and the commands that it answers. Pure functions.

What it is: a description as data (a table of ``devices.toml``) read into :class:`Behaviour`; what the device measures
at a moment (:func:`observe`), what a command or a desired property changes (:func:`answer`, :func:`accept`).
What it is not: a connection, a clock or a model. Which signals are telemetry and which properties, the device's model
says; a signal whose name begins with ``_`` is neither, and only others are made from it.

*Incidents* are named changes of signals at planned or random times: the k-th begins ``first_s + k * every_s`` after
the origin (k any whole number, so the past has them too), moved by at most ``jitter_s``, happens with ``chance``
(before the origin with ``past_chance``: a day that is made up is an ordinary one), lasts ``lasts_s`` and sets in over
``ramp_s``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from armillary.sim.templates.signal import Scene, Signal, Value, iso_time, parse_signal, reads_of, refused, unit

# What a command may set a property to beside constants: the time, or a field of the request (``@Field``).
NOW: Final = "@now"
FROM_REQUEST: Final = "@"
# Names that only other signals see.
HIDDEN: Final = "_"

_CHANGES: Final = ("to", "add", "times")


@dataclass(frozen=True, slots=True)
class Change:
    """How an incident changes one signal: exactly one of ``to``, ``add`` and ``times``."""

    signal: str
    how: str
    operand: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A named change of signals at planned or random times; see the module docstring.

    Attributes:
        devices: Numbers of the devices it befalls; empty all.
        stagger_s: How much later it befalls each further device.
        silent: Whether the device says nothing meanwhile.
    """

    name: str
    every_s: float
    lasts_s: float
    first_s: float = 0.0
    jitter_s: float = 0.0
    ramp_s: float = 0.0
    stagger_s: float = 0.0
    chance: float = 1.0
    past_chance: float = 0.1
    devices: tuple[int, ...] = ()
    silent: bool = False
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """How a command is answered.

    Attributes:
        set: Setting -> its new value; ``@now`` is the time, ``@Field`` a field of the request.
        request: Setting -> the field of the request that has its new value; "" the request itself.
        answer: Signals whose values are the answer.
        cases: Word of the request -> what is set besides; a request with another word is refused.
        case_field: Field of the request with that word; "" the request itself.
        least: Lowest number a request may ask for.
        most: Highest number.
    """

    set: Mapping[str, Value]
    request: Mapping[str, str]
    answer: tuple[str, ...]
    cases: Mapping[str, Mapping[str, Value]]
    case_field: str = ""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A kind of simulated device."""

    signals: Mapping[str, Signal]
    incidents: tuple[Incident, ...]
    commands: Mapping[str, Command]

    @property
    def settings(self) -> frozenset[str]:
        """Names of what can be changed from outside."""
        return frozenset(name for name, signal in self.signals.items() if "initial" in signal.options)

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of what the device tells, telemetry and properties."""
        return tuple(name for name in self.signals if not name.startswith(HIDDEN))


@dataclass(frozen=True, slots=True)
class Observation:
    """What a device measures at one moment.

    Attributes:
        values: Shown signal -> value.
    """

    values: Mapping[str, Value]
    incidents: tuple[str, ...]
    silent: bool


def parse(table: Mapping[str, Any]) -> Behaviour:
    """Read ``signals``, ``incidents`` and ``commands``; InvalidArgumentError names what makes no sense."""
    signals = {name: parse_signal(name, each) for name, each in table.get("signals", {}).items()}
    for name, signal in signals.items():
        _check_reads(signals, name, signal, ())
    incidents = tuple(_incident(each, signals) for each in table.get("incidents", ()))
    commands = {name: _command(name, each, signals) for name, each in table.get("commands", {}).items()}
    return Behaviour(signals, incidents, commands)


def _check_reads(signals: Mapping[str, Signal], name: str, signal: Signal, above: tuple[str, ...]) -> None:
    for read in reads_of(signal):
        if read not in signals or read == name or read in above:
            raise refused(f"signal {name}", "other signals to be made from, and no circle", read)
        _check_reads(signals, read, signals[read], (*above, name))


def _incident(table: Mapping[str, Any], signals: Mapping[str, Signal]) -> Incident:
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise refused("incident", "a name", repr(name))
    unknown = sorted(set(table) - set(Incident.__dataclass_fields__))
    if unknown or not {"every_s", "lasts_s"} <= set(table):
        raise refused(f"incident {name}", "every_s, lasts_s and known fields", ", ".join(unknown) or "fewer")
    changes = tuple(_change(name, each, signals) for each in table.get("changes", ()))
    found = Incident(**{**table, "changes": changes, "devices": tuple(table.get("devices", ()))})
    if not 0 < found.lasts_s <= found.every_s or not 0 <= found.jitter_s <= found.every_s - found.lasts_s:
        raise refused(f"incident {name}", "lasts_s and jitter_s that fit into every_s", f"{found.every_s}")
    if not changes and not found.silent:
        raise refused(f"incident {name}", "changes, or silent", "neither")
    return found


def _change(incident: str, table: Mapping[str, Any], signals: Mapping[str, Signal]) -> Change:
    signal, how = table.get("signal"), [each for each in _CHANGES if each in table]
    if signal not in signals or len(how) != 1 or len(table) != 2:
        raise refused(f"incident {incident}", f"a signal of the device and one of {', '.join(_CHANGES)}", repr(table))
    return Change(str(signal), how[0], table[how[0]])


def _command(name: str, table: Mapping[str, Any], signals: Mapping[str, Signal]) -> Command:
    unknown = sorted(set(table) - set(Command.__dataclass_fields__))
    if unknown:
        raise refused(f"command {name}", ", ".join(Command.__dataclass_fields__), ", ".join(unknown))
    given: dict[str, Any] = {"set": {}, "request": {}, "cases": {}, **table}
    command = Command(**{**given, "answer": tuple(table.get("answer", ()))})
    for setting in itertools.chain(command.set, command.request, *command.cases.values()):
        if setting not in signals or "initial" not in signals[setting].options:
            raise refused(f"command {name}", "signals of the kind setting to change", setting)
    for each in command.answer:
        if each not in signals:
            raise refused(f"command {name}", "signals of the device to answer with", each)
    return command


# At a moment --------------------------------------------------------------------------------------------------------


def device_seed(seed: str, role: str, number: int) -> bytes:
    """The seed of one device of a simulation."""
    return blake2b(f"{seed}/{role}/{number}".encode(), digest_size=32).digest()


def observe(
    behaviour: Behaviour,
    *,
    seed: bytes,
    number: int,
    origin_s: float,
    at_s: float,
    settings: Mapping[str, Value],
) -> Observation:
    """What a device measures and has at a moment, which may be before the simulation began (``origin_s``).

    ``seed`` is from :func:`device_seed`; ``number`` counts the devices of this kind from 1; ``settings`` are what was
    changed from outside. Times are Unix seconds.
    """
    strengths = [
        (incident, strength)
        for incident in behaviour.incidents
        if (strength := strength_of(incident, seed=seed, number=number, since_origin_s=at_s - origin_s)) > 0.0
    ]

    def changed(name: str, value: Value) -> Value:
        for incident, strength in strengths:
            for change in incident.changes:
                if change.signal == name:
                    value = _changed(value, change, strength)
        return value

    scene = Scene(behaviour.signals, seed=seed, origin_s=origin_s, at_s=at_s, settings=settings, change=changed)
    return Observation(
        {name: scene.value(name) for name in behaviour.shown},
        tuple(incident.name for incident, _ in strengths),
        any(incident.silent for incident, _ in strengths),
    )


def strength_of(incident: Incident, *, seed: bytes, number: int, since_origin_s: float) -> float:
    """How strong an incident is at a moment, 0 to 1."""
    if incident.devices and number not in incident.devices:
        return 0.0
    at = since_origin_s - incident.first_s - (number - 1) * incident.stagger_s
    occurrence = int(at // incident.every_s)
    chance = incident.chance if occurrence >= 0 else min(incident.chance, incident.past_chance)
    if chance < 1.0 and unit(seed, f"{incident.name}/chance", occurrence) >= chance:
        return 0.0
    at -= occurrence * incident.every_s + incident.jitter_s * unit(seed, incident.name, occurrence)
    if not 0.0 <= at < incident.lasts_s:
        return 0.0
    if incident.ramp_s <= 0.0:
        return 1.0
    # A moment after its beginning there is a little of it already: it can be named.
    return min(1.0, max(at, 1e-3) / incident.ramp_s, (incident.lasts_s - at) / incident.ramp_s)


def _changed(value: Value, change: Change, strength: float) -> Value:
    if isinstance(value, Mapping) and isinstance(change.operand, Mapping):
        return {
            part: _changed(one, Change(part, change.how, change.operand[part]), strength)
            if part in change.operand
            else one
            for part, one in value.items()
        }
    if isinstance(value, Mapping) or isinstance(change.operand, Mapping):
        return value  # a place is not a number
    if isinstance(value, (bool, str)) or isinstance(change.operand, (bool, str)):
        return change.operand if change.how == "to" and strength >= 0.5 else value
    if change.how == "to":
        return value + (change.operand - value) * strength
    if change.how == "add":
        return value + change.operand * strength
    return value * (1.0 + (change.operand - 1.0) * strength)


# From outside -------------------------------------------------------------------------------------------------------


def answer(command: Command, payload: object, *, now_s: float) -> Mapping[str, Value]:
    """What a command changes: setting -> new value; InvalidArgumentError for a wrong or excessive request."""
    given = dict(command.set)
    if command.cases:
        word = _requested(payload, command.case_field)
        if word not in command.cases:
            raise refused("request", f"one of {', '.join(command.cases)}", repr(word))
        given |= command.cases[word]
    changes = {}
    for name, value in given.items():
        is_field = isinstance(value, str) and value.startswith(FROM_REQUEST) and value != NOW
        changes[name] = _requested(payload, value[1:]) if is_field else iso_time(now_s) if value == NOW else value
    for name, field in command.request.items():
        value = _requested(payload, field)
        for bound, beyond in ((command.least, -1.0), (command.most, 1.0)):
            if bound is not None and (
                isinstance(value, (bool, str)) or (isinstance(value, (int, float)) and (value - bound) * beyond > 0)
            ):
                raise refused("request", f"a number of {command.least} to {command.most}", repr(value))
        changes[name] = value
    return changes


def _requested(payload: object, field: str) -> Value:
    """A field of a request, or the request itself."""
    value = payload if not field else payload.get(field) if isinstance(payload, Mapping) else None
    if value is None or isinstance(value, (Mapping, list)):
        raise refused("request", f"a value as {field}" if field else "a value", repr(payload))
    return value


def accept(behaviour: Behaviour, desired: Mapping[str, Any], writable: Sequence[str]) -> Mapping[str, Value]:
    """What desired properties change: setting -> its new value; what the device does not have is left out."""
    settings = behaviour.settings
    return {
        name: value for name, value in desired.items() if name in settings and name in writable and value is not None
    }
