# SPDX-License-Identifier: Apache-2.0
"""When devices of a group look for updates and install them: what operators set, and what devices are told of it.

Maintenance windows are kept as people wrote them and reckoned into moments when offers are computed, at least daily:
devices are told moments, and need to know of no time zone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.rows import DeviceGroup
from armillary.engines.records.schema.update_rows import UpdateSchedule
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.names import group_or_raise
from armillary.update.schedule.maintenance import moments, parse_windows
from armillary.wire.device.checkin import NO_DUMPS
from armillary.wire.device.offer_timing import MAX_DEFERRAL_S, OfferTiming, Window
from armillary.wire.text.time_zone import zone_named

# What one device may do is reckoned for this interval at the least (service/verifier/device_rates.py).
MIN_INTERVAL_S: Final = 300
# How long something is urgent, seconds: at the most as long as it may be put off. Urgency without an end is forgotten,
# and then windows mean nothing.
DEFAULT_URGENCY_S: Final = 24 * 3600
MAX_URGENCY_S: Final = MAX_DEFERRAL_S
MAX_REASON_LENGTH: Final = 1024

_log = structlog.get_logger("armillary.service.updates")

Change = Callable[[Connection, DeviceGroup], UpdateSchedule]


@dataclass(frozen=True, slots=True)
class GroupSchedule:
    """What devices of a group are told: seconds between check-ins, None for the service's setting; when to update.

    ``dumps`` is what crash dumps may hold.
    """

    interval_s: int | None
    timing: OfferTiming
    dumps: int = NO_DUMPS


class Schedules:
    """Operations on the update schedules of device groups. An unknown group raises NotFoundError."""

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self._notices = notices

    def get(self, catalog: str, product: str, group: str) -> UpdateSchedule:
        """The schedule of a group."""
        return self._context.records.read(
            lambda c: catalog_rows.update_schedule(c, group_or_raise(c, catalog, product, group).group_id)
        )

    def of(self, group_id: UUID) -> UpdateSchedule:
        """The schedule of a group by its id; the default one where there is no such group."""
        return self._context.records.read(lambda c: catalog_rows.update_schedule(c, group_id))

    def put(
        self,
        catalog: str,
        product: str,
        group: str,
        *,
        actor: str,
        check_interval_s: int | None,
        zone: str,
        windows: Sequence[str],
        max_deferral_s: int,
    ) -> UpdateSchedule:
        """Replace the schedule of a group; what is urgent stays urgent. Devices hear of it at their next check-in.

        Raises:
            InvalidArgumentError: an interval or deferral out of its range, an unknown zone, windows that are none or
                contradict each other.
        """
        self._check_interval(check_interval_s)
        zone_named(zone)
        texts = tuple(str(window) for window in parse_windows(windows))
        if not 0 <= max_deferral_s <= MAX_DEFERRAL_S:
            raise InvalidArgumentError(
                f"deferral: expected 0 to {MAX_DEFERRAL_S} seconds, got {max_deferral_s}",
                remedy="0 lets no application put off an update.",
            )
        said = {
            "check_interval_s": check_interval_s,
            "zone": zone,
            "windows": list(texts),
            "max_deferral_s": max_deferral_s,
        }

        def change(connection: Connection, found: DeviceGroup) -> UpdateSchedule:
            now = catalog_rows.update_schedule(connection, found.group_id)
            made = replace(
                now, check_interval_s=check_interval_s, zone=zone, windows=texts, max_deferral_s=max_deferral_s
            )
            catalog_rows.put_update_schedule(connection, made)
            self._context.audit(connection, actor, "device-group.set-schedule", _path(found), said)
            return made

        return self._changed(catalog, product, group, change)

    def urge(
        self, catalog: str, product: str, group: str, *, reason: str, actor: str, lifetime_s: int = DEFAULT_URGENCY_S
    ) -> UpdateSchedule:
        """Have devices of a group install what they are offered at once, in no window, whatever applications say.

        Raises:
            InvalidArgumentError: no reason, a long one, or a time out of its range.
        """
        if not 1 <= len(reason) <= MAX_REASON_LENGTH or not reason.isprintable():
            raise InvalidArgumentError(
                f"reason: expected 1 to {MAX_REASON_LENGTH} characters on one line", remedy="Say why it cannot wait."
            )
        if not MIN_INTERVAL_S <= lifetime_s <= MAX_URGENCY_S:
            raise InvalidArgumentError(
                f"urgency: expected {MIN_INTERVAL_S} to {MAX_URGENCY_S} seconds, got {lifetime_s}",
                remedy="It ends by itself; say it again if it has to last longer.",
            )
        until = self._context.now() + lifetime_s

        def change(connection: Connection, found: DeviceGroup) -> UpdateSchedule:
            now = catalog_rows.update_schedule(connection, found.group_id)
            made = replace(now, urgent_until=until, urgent_reason=reason)
            catalog_rows.put_update_schedule(connection, made)
            detail = {"reason": reason, "until": until}
            self._context.audit(connection, actor, "device-group.set-urgent", _path(found), detail)
            return made

        return self._changed(catalog, product, group, change)

    def end_urgency(self, catalog: str, product: str, group: str, *, actor: str) -> UpdateSchedule:
        """Have windows and deferrals hold again; ConflictError if nothing is urgent."""

        def change(connection: Connection, found: DeviceGroup) -> UpdateSchedule:
            now = catalog_rows.update_schedule(connection, found.group_id)
            if now.urgent_until is None or now.urgent_until <= self._context.now():
                raise ConflictError(f"nothing is urgent in group {found.name}", remedy="Nothing: windows hold.")
            made = replace(now, urgent_until=None, urgent_reason="")
            catalog_rows.put_update_schedule(connection, made)
            self._context.audit(connection, actor, "device-group.end-urgency", _path(found), {})
            return made

        return self._changed(catalog, product, group, change)

    def _check_interval(self, interval_s: int | None) -> None:
        settings = self._context.settings
        # One that is varied upwards must still come before the certificate of the last check-in ends.
        most = int(settings.certificate_lifetime_s / (1 + settings.check_in_jitter))
        least = min(MIN_INTERVAL_S, settings.check_in_interval_s)
        if interval_s is not None and not least <= interval_s <= most:
            raise InvalidArgumentError(
                f"check interval: expected {least} to {most} seconds, got {interval_s}",
                remedy=f"Certificates of devices live for {settings.certificate_lifetime_s} seconds: they are renewed "
                "at check-ins.",
            )

    def _changed(self, catalog: str, product: str, group: str, change: Change) -> UpdateSchedule:
        made = self._context.records.write(lambda c: change(c, group_or_raise(c, catalog, product, group)))
        self._notices.groups_changed()
        return made


def told(schedule: UpdateSchedule, now: int) -> GroupSchedule:
    """What devices of a group are told at a time, Unix seconds UTC."""
    return GroupSchedule(
        schedule.check_interval_s,
        OfferTiming(
            windows=_moments(schedule, now) if schedule.windows else None,
            max_deferral_s=schedule.max_deferral_s,
            urgent=schedule.urgent_until is not None and now < schedule.urgent_until,
        ),
    )


def _moments(schedule: UpdateSchedule, now: int) -> tuple[Window, ...]:
    """Its windows from now on; none where they can no longer be reckoned: then nothing begins, and the log says why."""
    try:
        return moments(parse_windows(schedule.windows), zone_named(schedule.zone), now=now)
    except ArmillaryError as error:
        _log.error("maintenance windows cannot be reckoned", group=str(schedule.group_id), error=error.message)
        return ()


def _path(group: DeviceGroup) -> str:
    return f"{group.catalog}/{group.product}/{group.name}"
