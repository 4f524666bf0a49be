# SPDX-License-Identifier: Apache-2.0
"""Rules between the parts of a profile: names, persons, frames, events, derived values, alarms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from armillary.wire.equipment.field import Place
from armillary.wire.equipment.framed_serial import ESCAPE_BIT, RESERVED_KINDS
from armillary.wire.equipment.profile import (
    AlarmRule,
    Derived,
    FramedSerial,
    Operator,
    Point,
    Profile,
)
from armillary.wire.equipment.profile_fields import MAX_NAME
from armillary.wire.equipment.profile_points import check_bound, check_points
from armillary.wire.equipment.profile_writes import check_conditions, check_writes

# What a module of the hub says of itself beside the profile's own names.
RESERVED: Final = frozenset({"quality", "alarm", "attempt", "recipe", "firmware", "profile", "profileversion"})
# Words by which values of persons are named. A machine has counts and levels; who stood before it is not its business.
_PERSONS: Final = """
people staff nurse nurses doctor doctors physician physicians guest guests badge badges email phone surname firstname
lastname forename birthday birthdate gender salary passport retina imsi msisdn worker workers colleague colleagues
resident residents caregiver caregivers clinician clinicians
"""
PERSON_WORDS: Final = frozenset(_PERSONS.split())
# Beginnings that say it also where words are run together: ``userid``, ``patientnumber``.
PERSON_STEMS: Final = (
    "person", "user", "employee", "patient", "visitor", "customer", "cardholder", "biometric", "fingerprint",
)  # fmt: skip
# That somebody is there is a state of the machine; which one is not.
_ROLES: Final = frozenset({"operator", "barista", "cleaner", "driver", "technician", "face", "card", "owner"})
_IDENTITIES: Final = frozenset({"id", "name", "number", "identity", "initials"})
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
DURATION: Final = "seconds"  # Of an event, beside what it captured
# Operator -> least and most inputs, and whether it looks back over a window.
OPERATORS: Final = {
    Operator.RATIO: (2, 2, True),
    Operator.DIFFERENCE: (2, 2, False),
    Operator.SUM: (2, 64, False),
    Operator.MEAN: (1, 64, False),
    Operator.RATE: (1, 1, True),
    Operator.REMAINING: (1, 1, True),
}
_OF_COUNTERS: Final = frozenset({Operator.RATIO, Operator.RATE})


def check_profile(profile: Profile, root: Place) -> None:
    """Raises ProfileError for the first rule that a profile breaks."""
    if not profile.points and not profile.arrays:
        raise root.below("points").fault("form", "points or arrays", "none")
    _check_frames(profile, root)
    check_points(profile, root)
    _check_names(profile, root)
    points = {each.name: each for each in profile.all_points}
    for event in profile.events:
        place = root.below("events").below(event.name)
        check_conditions((event.start,), points, place.below("start"))
        check_conditions((event.end,), points, place.below("end"))
        for name in event.capture:
            if name not in points or name == DURATION:
                expected = f"names of points, and not {DURATION}: the event's own duration has that name"
                raise place.below("capture").fault("reference", expected, name)
    for derived in profile.derived:
        _check_derived(derived, points, root.below("derived").below(derived.name))
    for alarm in profile.alarms:
        _check_alarm(alarm, profile, points, root.below("alarms").below(alarm.name))
    check_writes(profile, root)


def _check_frames(profile: Profile, root: Place) -> None:
    link = profile.link
    if not isinstance(link, FramedSerial):
        if profile.frames:
            raise root.below("frames").fault("form", "no frames: the link has none", "some")
        return
    if link.flag ^ link.escape in (0, ESCAPE_BIT):
        expected = f"another byte than the flag, and not by {ESCAPE_BIT:#x} alone"
        raise root.below("link").below("escape").fault("form", expected, f"{link.escape}")
    kinds: dict[int, str] = {}
    for frame in profile.frames:
        place = root.below("frames").below(frame.name)
        if frame.length > link.max_payload:
            raise place.below("length").fault("limit", f"at most max_payload, {link.max_payload}", f"{frame.length}")
        if frame.kind in RESERVED_KINDS:
            raise place.below("kind").fault("address", "a type that is no acknowledgement", f"{frame.kind}")
        if kinds.setdefault(frame.kind, frame.name) != frame.name:
            raise place.below("kind").fault("duplicate", f"another than that of {kinds[frame.kind]}", f"{frame.kind}")


def _check_names(profile: Profile, root: Place) -> None:
    seen: dict[str, str] = {}
    for name, title, place in _named(profile, root):
        folded = name.lower()
        if folded in RESERVED:
            raise place.fault("reserved-name", "a name that the guardian does not use itself", name)
        if len(name) > MAX_NAME:
            raise place.fault("limit", f"names of at most {MAX_NAME} characters, with the array's", name)
        if folded in seen:
            raise place.fault("duplicate-name", f"a name of its own; {seen[folded]} is one already", name)
        seen[folded] = name
        _check_person(f"{name} {title}", profile, place)
    for point in profile.all_points:
        for name in (*point.states.values(), *point.bits.values()):
            _check_person(name, profile, root.below("points").below(point.name))
    for field in profile.recipe.fields if profile.recipe else ():
        _check_person(field.name, profile, root.below("recipe").below("fields").below(field.name))
    simulated = next((each for each in profile.points if each.name == "simulated"), None)
    if simulated is not None and simulated.raw != "bool":
        raise root.below("points.simulated.raw").fault("raw", "bool: whether the equipment is simulated", simulated.raw)


def _check_person(text: str, profile: Profile, place: Place) -> None:
    words = {word.lower() for word in _WORDS.findall(text)}
    found = sorted(each for each in words if each in PERSON_WORDS or each.startswith(PERSON_STEMS))
    if words & _IDENTITIES:
        found += sorted(words & _ROLES)
    if found and not profile.person_data:
        expected = "nothing about persons (or person_data: true, where that is lawful and meant)"
        raise place.fault("person-data", expected, f"the word {found[0]}")


def _named(profile: Profile, root: Place) -> Iterator[tuple[str, str, Place]]:
    """Every name that is sent, with title and place."""
    for point in profile.points:
        yield point.name, point.title, root.below("points").below(point.name)
    for array in profile.arrays:
        for member in array.members:
            place = root.below("arrays").below(array.name).below("members").below(member.name)
            for index in range(array.count):
                yield f"{array.name}{index}_{member.name}", member.title, place
    for section in ("events", "derived", "alarms", "commands"):
        for each in getattr(profile, section):
            yield each.name, getattr(each, "title", ""), root.below(section).below(each.name)


def _check_derived(derived: Derived, points: dict[str, Point], place: Place) -> None:
    least, most, looks_back = OPERATORS[derived.operator]
    if not least <= len(derived.inputs) <= most:
        raise place.below("inputs").fault("operator", f"{least} to {most} inputs", f"{len(derived.inputs)}")
    for name in derived.inputs:
        point = points.get(name)
        if point is None or point.states or point.bits or point.raw == "bool":
            raise place.below("inputs").fault("reference", "names of points that are numbers", name)
        if derived.operator in _OF_COUNTERS and not point.counter:
            raise place.below("inputs").fault("operator", f"counters for {derived.operator}", name)
    if looks_back != (derived.window_s > 0):
        expected = "a window above 0" if looks_back else f"no window for {derived.operator}"
        raise place.below("window_s").fault("operator", expected, f"{derived.window_s:g}")
    if derived.limit and derived.operator is not Operator.REMAINING:
        raise place.below("limit").fault("operator", f"no limit for {derived.operator}", f"{derived.limit:g}")
    if derived.operator is Operator.REMAINING and derived.unit != "second":
        raise place.below("unit").fault("unit", "second: the time that remains", derived.unit)


def _check_alarm(alarm: AlarmRule, profile: Profile, points: dict[str, Point], place: Place) -> None:
    watched = _watched(alarm, profile, points)
    if watched is None:
        if alarm.point not in {each.name for each in profile.derived}:
            expected = "a point, a derived value, or array.member"
            raise place.below("point").fault("reference", expected, alarm.point)
    elif watched.states or watched.bits:
        raise place.below("point").fault("reference", "a number, not states or flags", alarm.point)
    else:
        check_bound(alarm.limit, watched, place.below("limit"))
        check_bound(alarm.clear, watched, place.below("clear"))
    if (alarm.clear > alarm.limit) if alarm.above else (alarm.clear < alarm.limit):
        side = "at most" if alarm.above else "at least"
        raise place.below("clear").fault("range", f"{side} the limit, {alarm.limit:g}", f"{alarm.clear:g}")


def _watched(alarm: AlarmRule, profile: Profile, points: dict[str, Point]) -> Point | None:
    array, _, member = alarm.point.partition(".")
    if not member:
        return points.get(alarm.point)
    return next(
        (each for owner in profile.arrays if owner.name == array for each in owner.members if each.name == member), None
    )
