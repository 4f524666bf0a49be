# SPDX-License-Identifier: Apache-2.0
"""Notifications in one answer: who is told of what, whether there is a mail server, which rules can reach nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from armillary.engines.outbound.email import MailServer
from armillary.engines.records.schema.security.notification_rows import Channel
from armillary.wire.device.finding import SEVERITIES

if TYPE_CHECKING:
    from armillary.platform.platform import Platform
    from armillary.platform.rules.operations import Reach
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]
# Kinds of findings that people ask for by name, beside all others.
ASKED_FOR: Final = ("rollout-held", "clock")


def overview(service: SecurityService, platform: Platform, catalog: str | None) -> Document:
    """Of a catalog; with None of the whole service. The mail server's address is for the whole service only."""
    channels = service.notifications.channels.list(catalog)
    owners = service.notifications.channels.catalog_names(channels)
    reach = platform.rule_operations.reach(catalog)
    told = _Told(channels, {each.channel_id: owners.get(each.catalog_id) for each in channels})
    events = [
        *(told.of_findings(severity) for severity in reversed(SEVERITIES)),
        *(told.of_kind(kind) for kind in ASKED_FOR),
        told.of("action", (each for each in channels if each.choice.hears_of("action"))),
        told.of_alerts(reach),
    ]
    return {
        "mail": _mail(reach.mail, is_whole=catalog is None),
        "events": events,
        "silent_rules": [
            {"id": each.rule_id, "name": each.name, "catalog": each.catalog, "why": list(each.why)}
            for each in reach.silent
        ],
    }


class _Told:
    """Who of the channels is told of something."""

    def __init__(self, channels: Sequence[Channel], owners: dict[Any, str | None]) -> None:
        self._channels = channels
        self._owners = owners

    def of(self, event: str, heard: Iterable[Channel], *, severity: str | None = None) -> Document:
        """One line: what it is about and which channels are told."""
        told = [
            {
                "channel_id": str(each.channel_id),
                "name": each.name,
                "catalog": self._owners[each.channel_id],
                "from": each.min_severity,
            }
            for each in heard
        ]
        return {"event": event, "severity": severity, "told": told}

    def of_findings(self, severity: str) -> Document:
        """Findings of a severity, of whatever kinds each channel chose."""
        heard = (each for each in self._channels if each.choice.hears_of("finding"))
        return self.of("finding", (each for each in heard if each.choice.hears_from(severity)), severity=severity)

    def of_kind(self, kind: str) -> Document:
        """Findings of a kind, of whatever severity."""
        return self.of(kind, (each for each in self._channels if each.choice.hears_of("finding", kind)))

    def of_alerts(self, reach: Reach) -> Document:
        """Alerts: a channel is told of all where it chose them, and of those whose rules name it in any case.

        ``from`` is the severity from which on it chose alerts, None for a channel that did not.
        """
        rules = {each.channel_id: self._rules(each, reach) for each in self._channels}
        chose = {each.channel_id for each in self._channels if each.choice.hears_of("alert")}
        heard = [each for each in self._channels if each.channel_id in chose or rules[each.channel_id]]
        line = self.of("alert", heard)
        said = [
            {**told, "from": told["from"] if each.channel_id in chose else None, "rules": rules[each.channel_id]}
            for each, told in zip(heard, line["told"], strict=True)
        ]
        return {**line, "told": said}

    def _rules(self, channel: Channel, reach: Reach) -> int:
        """How many rules name a channel: those of its catalog, and for one of the whole service those of all."""
        owner = self._owners[channel.channel_id]
        return sum(
            count
            for (catalog, name), count in reach.naming.items()
            if name.lower() == channel.name.lower() and (catalog is None or (catalog.lower() == (owner or "").lower()))
        )


def _mail(server: MailServer, *, is_whole: bool) -> Document:
    is_set = bool(server.host and server.sender)
    shown = is_set and is_whole
    return {
        "is_set": is_set,
        "host": server.host if shown else None,
        "port": server.port if shown else None,
        "security": server.security if shown else None,
        "sender": server.sender if shown else None,
    }
