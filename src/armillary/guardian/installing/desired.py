# SPDX-License-Identifier: Apache-2.0
"""What the hub wants of a piece of equipment: desired properties ``recipe``, ``firmware`` and ``signedProfile``.

Each is answered as IoT Plug and Play asks: ``{"value": {"version", "sha256"}, "ac": 200, "ad": "installed", "av": 7}``.
``ac`` is 202 while it waits for the equipment, 200 when it is installed, and otherwise says why not: 400 what is no
signed file or of another profile, 403 the guard, 409 an earlier version or something else that stands, 504 no answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from armillary.errors import ArmillaryError, WireError
from armillary.guardian.log import log
from armillary.wire.equipment.faults import GuardRefusedError, LinkError, ProfileError, ReadBackError

# What may pass: the equipment is busy, an interval has not passed, nobody has agreed yet, a cable is out.
PASSING_RULES = frozenset(("interlock", "rate", "consent"))
AGAIN_S = 5.0
SHOWN_CHARACTERS = 200

WAITS, DONE = 202, 200


class SupersededError(Exception):
    """Another value of the property came meanwhile: nothing is to be said of this one."""


Install = Callable[[bytes], Awaitable[int]]  # Takes an envelope, returns the version


@dataclass(slots=True)
class Desired:
    """The desired properties of one piece of equipment; ``install`` has what takes each.

    A newer value ends the waiting for the one before, never an installation that is under way.
    """

    equipment: str
    install: Mapping[str, Install]
    changed: Callable[[], None]  # Called when an acknowledgement changed
    acknowledged: dict[str, dict[str, object]] = field(default_factory=dict)
    _newest: dict[str, object] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def want(self, desired: Mapping[str, object]) -> None:
        """Take desired properties, the whole section or a change of it."""
        version = desired.get("$version")
        for name in self.install.keys() & desired.keys():
            value, before = desired[name], self._newest.get(name)
            self._newest[name] = value
            if value is None:
                self.acknowledged.pop(name, None)
                continue
            number = version if isinstance(version, int) else 0
            answered = self.acknowledged.get(name, {})
            if value == before and answered.get("av") == number and answered.get("ac") != WAITS:
                continue  # Said again after a reconnect: what came of it stands, and is not tried once more
            run = self._take(name, value, number)
            task = asyncio.get_running_loop().create_task(run)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Give up what waits."""
        for task in self._tasks:
            task.cancel()

    async def _take(self, name: str, value: object, version: int) -> None:
        envelope = _envelope(value)
        self._answer(name, value, WAITS, "taken", version)
        while self._newest.get(name) is value:
            try:
                installed = await self.install[name](envelope)
            except SupersededError:
                return
            except (ArmillaryError, OSError) as error:
                code = _code(error)
                self._answer(name, value, code, str(error), version)
                if code != WAITS:
                    return
                await asyncio.sleep(AGAIN_S)
            else:
                self._answer(name, value, DONE, f"version {installed} is installed", version)
                return

    def _answer(self, name: str, value: object, code: int, text: str, version: int) -> None:
        if self._newest.get(name) is not value:
            return
        given = value if isinstance(value, Mapping) else {}
        shown = {key: given.get(key) for key in ("version", "sha256")}
        answer: dict[str, object] = {"value": shown, "ac": code, "ad": text[:SHOWN_CHARACTERS], "av": version}
        if self.acknowledged.get(name) != answer:
            log(f"{self.equipment}: {name}: {code} {text:.160}")
            self.acknowledged[name] = answer
            self.changed()


def _envelope(value: object) -> bytes:
    """The envelope in a desired property: its text in ``envelope``, or an object that is one."""
    given = value.get("envelope", value) if isinstance(value, Mapping) else value
    return given.encode("utf-8", "replace") if isinstance(given, str) else json.dumps(given).encode()


def _code(error: Exception) -> int:
    """The acknowledgement's code of what went wrong."""
    if isinstance(error, GuardRefusedError):
        return WAITS if error.rule in PASSING_RULES else 403
    if isinstance(error, LinkError):
        return WAITS if error.reason in ("unreachable", "timeout") else 504
    if isinstance(error, ReadBackError) or (isinstance(error, ProfileError) and error.rule == "rollback"):
        return 409
    return 400 if isinstance(error, WireError) else 500
