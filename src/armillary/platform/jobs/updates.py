# SPDX-License-Identifier: Apache-2.0
"""Updates by jobs: a device is asked, does the rest by itself, and is looked at until it has said how it went.

Two ways to ask it:

- *A device group*, for devices that attest: the security service moves the device there, and offers it the group's
  deployment at its next check-in. It is done when a check-in said that the device runs exactly these images.
- *A package*, for every other device: the desired property ``update``, as a writable property of IoT Plug and Play. It
  is done when the device reports ``{"update": {"ac": 200, "av": N}}``, N being the version of that wish or a later one.

While a device is waited for, its row has what it was asked (:class:`_Asked`, as JSON); nothing else is kept of it.
Methods block: call them from threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from armillary.engines.jobs.devices import DeviceOutcome, DeviceResult
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.platform.ports import Directory, Twins, Updates
from armillary.twin.author.job import UPDATE_PROPERTY, Job, JobAction, UpdateStatus

# Acknowledgements of a writable property: below 200 nothing is said yet, 201 to 203 it is under way.
_DONE_CODES = range(200, 400)
_UNDER_WAY_CODES = range(201, 204)
MAX_WHY_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a device was asked: whose it was then, and when it was moved (Unix seconds) or the version of the wish."""

    catalog: str | None
    moved_at: int = 0
    desired_version: int = 0


@dataclass(eq=False)
class JobUpdates:
    """Asks devices to update themselves, and reads how far they are."""

    _twins: Twins
    _directory: Directory
    _updates: Updates
    _now_ms: Callable[[], int]  # Unix time, milliseconds

    def begin(self, job: Job, device_id: str, catalog: str | None) -> DeviceOutcome:
        """Ask a device to update itself; raises ArmillaryError if that is not possible."""
        action = job.action
        if action.device_group:
            if not catalog:
                raise InvalidArgumentError("update: nobody owns the device", remedy="Claim it first.")
            moved_at = self._updates.move(device_id, catalog, action.device_group, by=f"job {job.name}")
            asked = _Asked(catalog, moved_at=moved_at)
        else:
            wish = {UPDATE_PROPERTY: dict(action.package)}
            twin = self._twins.submit_desired(device_id, wish).result()
            asked = _Asked(catalog, desired_version=twin.desired.version)
        over_ms = self._now_ms() + action.timeout_s * 1000
        return DeviceOutcome(device_id, "wait", answer=json.dumps(asdict(asked)), due_ms=over_ms)

    def look(self, job: Job, devices: Sequence[DeviceResult]) -> list[DeviceOutcome]:
        """What became of devices that are waited for; those of which nothing is known yet are left out."""
        asked = {each.device_id: _Asked(**json.loads(each.answer)) for each in devices}
        read = self._by_group if job.action.device_group else self._by_package
        standings = read(job.action, asked)
        # Whose they are is read last: of a device that goes away meanwhile the standing may say that it has failed.
        owners = self._directory.of([*asked])
        stay = {name for name, each in asked.items() if _same(each.catalog, owners.get(name, {}).get("catalog"))}
        now_ms, found = self._now_ms(), list[DeviceOutcome]()
        for each in devices:
            standing = standings.get(each.device_id, UpdateStatus(None))
            if each.device_id not in stay:
                standing = UpdateStatus("gone", "the device is no longer the catalog's")
            elif standing.event is None and now_ms >= each.due_ms:
                standing = UpdateStatus("failed", f"it did not report the update within {job.action.timeout_s} s")
            if standing.event is not None:
                found.append(DeviceOutcome(each.device_id, standing.event, answer=standing.said[:MAX_WHY_CHARACTERS]))
        return found

    def _by_group(self, action: JobAction, asked: Mapping[str, _Asked]) -> Mapping[str, UpdateStatus]:
        moved = {name: (each.catalog or "", each.moved_at) for name, each in asked.items()}
        return self._updates.standings(action.device_group, moved)

    def _by_package(self, action: JobAction, asked: Mapping[str, _Asked]) -> Mapping[str, UpdateStatus]:
        found: dict[str, UpdateStatus] = {}
        for name, each in asked.items():
            try:
                twin = self._twins.get(name)
            except ArmillaryError as error:
                found[name] = UpdateStatus("failed", f"{error.code}: {error.message}")
                continue
            wish, said = (part.properties.get(UPDATE_PROPERTY) for part in (twin.desired, twin.reported))
            found[name] = acknowledged(action.package, each.desired_version, wish, said)
        return found


def acknowledged(package: Mapping[str, str], version: int, wish: Any, said: Any) -> UpdateStatus:
    """The status of an update by package, asked for in ``version`` of the desired properties.

    ``wish`` is the desired property now, ``said`` the reported one: ``{"value", "ac", "av", "ad"}``, or anything else.
    """
    if not isinstance(wish, Mapping) or any(wish.get(name) != value for name, value in package.items()):
        return UpdateStatus("failed", "something else was asked for meanwhile")
    if not isinstance(said, Mapping):
        return UpdateStatus(None)
    code, about = _number(said.get("ac")), _number(said.get("av"))
    if about < version or code < min(_DONE_CODES) or code in _UNDER_WAY_CODES:
        return UpdateStatus(None)
    text = str(said.get("ad") or "")
    if code in _DONE_CODES:
        return UpdateStatus("done", text)
    return UpdateStatus("failed", f"the device answered {code}: {text}")


def _number(value: object) -> int:
    """A whole number; -1 for anything else that a device says."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _same(one: str | None, other: object) -> bool:
    return (one or "").lower() == (other.lower() if isinstance(other, str) else "")
