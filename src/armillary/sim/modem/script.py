# SPDX-License-Identifier: Apache-2.0
"""The script of a simulated modem: what changes around it, and when, as TOML.

::

    [[step]]
    after_s = 20
    signal_dbm = -105

    [[step]]
    after_s = 60
    event = "drop-session"

``after_s`` counts from the start of the modem. A step changes attributes of :class:`~armillary.sim.modem.radio.Radio`,
or names one event, or both; the first steps may have ``after_s = 0``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.sim.modem.radio import REGISTRATIONS, Radio

MAX_STEPS: Final = 1000
MAX_BYTES: Final = 256 * 1024
# The network ends the session; it detaches the modem; the modem restarts.
EVENTS: Final = ("drop-session", "detach", "restart")
_KINDS: Final[Mapping[str, type]] = {each.name: type(getattr(Radio(), each.name)) for each in fields(Radio)}


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One change."""

    after_s: float
    changes: Mapping[str, Any] = field(default_factory=dict)
    event: str = ""


def read_script(path: Path) -> tuple[ScriptStep, ...]:
    """The steps of a file; InvalidArgumentError where it is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(f"--script {path}: {error.strerror or error}", remedy="Name a file.") from error
    return parse_script(data)


def parse_script(data: bytes) -> tuple[ScriptStep, ...]:
    """The steps in the order of their times.

    Raises:
        InvalidArgumentError: it is no script; names the step and the field.
    """
    try:
        if len(data) > MAX_BYTES:
            raise _wrong(f"at most {MAX_BYTES} bytes", str(len(data)))
        document = tomllib.loads(data.decode())
    except ValueError as error:
        raise _wrong("TOML", f"{error!s:.80}") from error
    steps = document.get("step")
    if set(document) != {"step"} or not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise _wrong(f"at most {MAX_STEPS} tables [[step]] and nothing else", ", ".join(document)[:80] or "nothing")
    found = [_step(number, each) for number, each in enumerate(steps, start=1)]
    return tuple(sorted(found, key=lambda each: each.after_s))


def check_changes(changes: Mapping[str, Any], where: str = "change") -> Mapping[str, Any]:
    """Changes of a radio; InvalidArgumentError for an attribute that it has not, or of another kind."""
    for name, value in changes.items():
        wanted = _KINDS.get(name)
        if wanted is None:
            raise _wrong(f"{where}: one of {', '.join(_KINDS)}", f"{name!r:.40}")
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise _wrong(f"{where}: {name} as {wanted.__name__}", type(value).__name__)
    if changes.get("registration", "home") not in REGISTRATIONS:
        raise _wrong(f"{where}: registration as one of {', '.join(REGISTRATIONS)}", f"{changes['registration']!r:.40}")
    return changes


def _step(number: int, given: Any) -> ScriptStep:
    where = f"step {number}"
    if not isinstance(given, dict):
        raise _wrong(f"{where}: a table", type(given).__name__)
    changes = dict(given)
    after_s, event = changes.pop("after_s", None), changes.pop("event", "")
    if type(after_s) not in (int, float) or not 0 <= after_s < 1e9:
        raise _wrong(f"{where}: after_s in seconds", f"{after_s!r:.40}")
    if event not in ("", *EVENTS):
        raise _wrong(f"{where}: event as one of {', '.join(EVENTS)}", f"{event!r:.40}")
    return ScriptStep(float(after_s), check_changes(changes, where), event)


def _wrong(expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"script of the simulated modem: expected {expected}, got {got}", remedy="docs/guides/cellular.md has one."
    )
