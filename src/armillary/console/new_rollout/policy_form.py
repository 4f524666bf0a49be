# SPDX-License-Identifier: Apache-2.0
"""A roll-out's policy as a form: every field of ``rollout/policy.py`` with its default, unit and range. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from armillary.console.frame.form import Field, filled, limits
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError
from armillary.rollout.policy import MAX_COHORTS, MAX_RING_NAME, Ring, RolloutPolicy
from armillary.wire.text.duration import duration_of, duration_text

DEFAULT: Final = RolloutPolicy()
# Empty rings that the form shows; "Another ring" adds one.
FIRST_RINGS: Final = 1
# Name of the field that says how many rings there are.
RINGS: Final = "rings"
_SEVERITIES: Final = (
    ("low", say("low or above")),
    ("medium", say("medium or above")),
    ("high", say("high or above")),
    ("critical", say("critical")),
    ("never", say("never")),
)


@dataclass(frozen=True, slots=True)
class Fieldset:
    """Fields under a heading."""

    title: str
    about: str
    fields: tuple[Field, ...]


def fieldsets(sent: Mapping[str, str], groups_hint: str) -> tuple[Fieldset, ...]:
    """The policy's part of the form as it was ``sent``, or with the defaults."""
    return (
        Fieldset(
            say("Chosen cohorts"),
            say("devices that go first because you chose them, cohort by cohort; leave the name empty for none"),
            tuple(field for number in range(ring_count(sent)) for field in _ring(number, sent, groups_hint)),
        ),
        Fieldset(say("Cohorts"), say("then the rest of the devices, by percentages"), _numbers(_COHORTS, sent)),
        Fieldset(say("Gates"), say("what stops it by itself"), _numbers(_GATES, sent)),
        Fieldset(say("Times"), say("how long devices may take"), _numbers(_TIMES, sent)),
    )


def policy_of(sent: Mapping[str, str], devices: Callable[[str], str], group: Callable[[str], str]) -> RolloutPolicy:
    """The policy that a form has.

    Args:
        sent: Fields as they were typed.
        devices: The id of the device that a line means. Raises for none, or for several.
        group: ``CATALOG/PRODUCT/GROUP`` of a line.

    Raises:
        InvalidArgumentError: a field that cannot be read, by its label; or a value out of its range.
    """
    values = {name: entry.read(sent.get(name, "").strip()) for name, entry in _ENTRIES.items()}
    rings = []
    for number in range(ring_count(sent)):
        name = sent.get(f"ring_{number}_name", "").strip()
        lines = {what: _lines(sent.get(f"ring_{number}_{what}", "")) for what in ("devices", "groups")}
        if not name:
            if any(lines.values()):
                raise InvalidArgumentError(
                    f"Chosen cohort {number + 1}: expected a name, got none",
                    remedy="Name it, or empty its other fields.",
                )
            continue
        rings.append(
            Ring(
                name=name,
                devices=tuple(map(devices, lines["devices"])),
                groups=tuple(map(group, lines["groups"])),
            )
        )
    return RolloutPolicy(rings=tuple(rings), **values)  # type: ignore[arg-type]  # each entry reads its field's type


def ring_count(sent: Mapping[str, str]) -> int:
    """How many rings a form has fields for."""
    typed = sent.get(RINGS, "")
    return min(MAX_COHORTS, max(FIRST_RINGS, int(typed))) if typed.isdecimal() and len(typed) < 3 else FIRST_RINGS


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _ring(number: int, sent: Mapping[str, str], groups_hint: str) -> tuple[Field, ...]:
    name, devices, groups = (f"ring_{number}_{part}" for part in ("name", "devices", "groups"))
    return (
        Field(
            name=name,
            label=say("Chosen cohort {number}: name", number=number + 1),
            value=sent.get(name, ""),
            limits=limits(maxlength=MAX_RING_NAME),
            hint=say("such as Laboratory"),
        ),
        Field(
            name=devices,
            label=say("Chosen cohort {number}: devices", number=number + 1),
            kind="area",
            rows=2,
            value=sent.get(devices, ""),
            hint=say("one a line: name, id, or first digits of the id"),
        ),
        Field(
            name=groups,
            label=say("Chosen cohort {number}: device groups", number=number + 1),
            kind="area",
            rows=2,
            value=sent.get(groups, ""),
            hint=groups_hint,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """A field of the policy: how it is drawn, read and written."""

    field: Field
    read: Callable[[str], object]


def _whole(name: str, label: str, low: int, high: int, *, unit: str = "", hint: str = "") -> tuple[str, _Entry]:
    def read(typed: str) -> int:
        if not (typed.isascii() and typed.isdecimal()) or len(typed) > 9:
            raise InvalidArgumentError(
                f"{label}: expected a whole number from {low} to {high:,}, got {typed[:20]!r}",
                remedy="Correct it there.",
            )
        return int(typed)

    field = Field(
        name=name,
        label=label,
        kind="number",
        value=str(getattr(DEFAULT, name)),
        unit=unit,
        hint=hint,
        limits=limits(min=low, max=high, step=1),
        required=True,
    )
    return name, _Entry(field, read)


def _time(name: str, label: str, hint: str) -> tuple[str, _Entry]:
    value = duration_text(getattr(DEFAULT, name))
    field = Field(name=name, label=label, value=value, unit=say("s, min, h or d"), hint=hint, required=True)

    def read(typed: str) -> int:
        found = 0 if typed == "0" else duration_of(typed)
        if found is None:
            raise InvalidArgumentError(
                f"{label}: expected a time with its unit, got {typed[:20]!r}",
                remedy="Write it as 90 s, 30 min, 1 h or 2 d.",
            )
        return found

    return name, _Entry(field, read)


def _percentages(typed: str) -> tuple[int, ...]:
    parts = [part.strip().removesuffix("%").strip() for part in typed.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
        raise InvalidArgumentError(
            f"Percentages: expected whole numbers with commas between, got {typed[:40]!r}",
            remedy="Write rising percentages that end with 100, such as 5, 25, 100.",
        )
    return tuple(map(int, parts))


def _severity(typed: str) -> str:
    if typed not in dict(_SEVERITIES):
        raise InvalidArgumentError(
            f"Findings: expected one of {', '.join(dict(_SEVERITIES))}, got {typed[:20]!r}",
            remedy="Choose one of the list.",
        )
    return "" if typed == "never" else typed


_COHORTS: Final = dict(
    (
        (
            "cohorts",
            _Entry(
                Field(
                    name="cohorts",
                    label=say("Percentages"),
                    value=", ".join(map(str, DEFAULT.cohorts)),
                    unit="%",
                    required=True,
                    hint=say(
                        "of all devices, rising, the last is 100; at most {max_cohorts} steps", max_cohorts=MAX_COHORTS
                    ),
                ),
                _percentages,
            ),
        ),
        _whole(
            "success_percent",
            say("Confirmed before the next cohort"),
            1,
            100,
            unit="%",
            hint=say("share of the newest cohort that runs the update"),
        ),
        _time("soak_s", say("Soak time"), say("so long it has to stay so before the next cohort begins; at most 90 d")),
    )
)
_GATES: Final = dict(
    (
        _whole(
            "failure_percent",
            say("Failures that stop it, above"),
            0,
            99,
            unit="%",
            hint=say("of devices that are finished"),
        ),
        _whole(
            "min_failures",
            say("Never stopped below"),
            1,
            1_000_000,
            unit=say("failures"),
            hint=say("one unlucky device proves nothing"),
        ),
        (
            "hold_on_severity",
            _Entry(
                Field(
                    name="hold_on_severity",
                    label=say("Findings that stop it"),
                    kind="select",
                    value=DEFAULT.hold_on_severity,
                    choices=_SEVERITIES,
                    hint=say("open findings about its devices or images"),
                ),
                _severity,
            ),
        ),
        _whole(
            "false_hold_percent",
            say("Crash comparison: false alarms, at most"),
            0,
            50,
            unit="%",
            hint=say(
                "it stops when devices crash or fail more often than with the release before; 0 switches that off"
            ),
        ),
        (
            "roll_back_on_hold",
            _Entry(
                Field(
                    name="roll_back_on_hold",
                    label=say("Roll back at once when it stops by itself"),
                    kind="check",
                    value="on" if DEFAULT.roll_back_on_hold else "",
                ),
                bool,
            ),
        ),
    )
)
_TIMES: Final = dict(
    (
        _time(
            "timeout_s",
            say("Counts as failed after"),
            say("a device that may begin and has not confirmed; at most 90 d"),
        ),
        _time(
            "lease_s",
            say("An offer holds for"),
            say("so long a device may install what it was offered without asking again; 0 for no end"),
        ),
    )
)
_ENTRIES: Final[Mapping[str, _Entry]] = {**_COHORTS, **_GATES, **_TIMES}
FIELDS: Final = (*_ENTRIES, RINGS)


def _numbers(entries: Mapping[str, _Entry], sent: Mapping[str, str]) -> tuple[Field, ...]:
    fields = tuple(entry.field for entry in entries.values())
    return filled(fields, sent) if sent else fields
