# SPDX-License-Identifier: Apache-2.0
"""What rules have to know of one device besides its messages: properties, template, groups, and its catalog."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from armillary.engines.documents.store import DocumentStore
from armillary.engines.series.store import SeriesStore
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.platform.authored.groups import Groups
from armillary.platform.ports import Devices, Directory
from armillary.twin.author.group import is_member, needs_of_filters
from armillary.twin.rule.rule import Facts, Rule


def groups_of(rule: Rule) -> frozenset[str]:
    """Device groups that a rule is for."""
    return frozenset([rule.target.group] if rule.target.group else [])


@dataclass(eq=False)
class KnownDevices:
    """Devices that rules know, by their numbers. In the hub's loop."""

    _devices: Devices
    _series: SeriesStore
    _earlier: dict[int, str] = field(default_factory=dict, init=False)
    _met: int = field(default=0, init=False)

    def name_of(self, number: int) -> str | None:
        """Id of the device with this number."""
        name = self._devices.name_of(number)
        return self._earlier.get(number) if name is None else name

    def read(self) -> Collection[str]:
        """Ids of all devices that were ever connected."""
        self._earlier = {row.number: row.device_id for row in self._series.devices()}
        return self._earlier.values()

    def newly_met(self) -> Collection[str]:
        """Ids of the devices that have connected since the start, if there are more than at the last call."""
        names = self._devices.names()
        if len(names) <= self._met:
            return ()
        self._met = len(names)
        return names


@dataclass(eq=False)
class RuleFacts:
    """Reads facts of one device. Methods block for a few reads."""

    _series: SeriesStore
    _documents: DocumentStore
    _directory: Directory
    _groups: Groups

    def read(
        self,
        device_id: str,
        sections: frozenset[str],
        listening_since_ms: int,
        groups: frozenset[str] = frozenset(),
    ) -> tuple[Facts, str]:
        """What is known of a device now, of these sections of properties and device groups; and its catalog's name.

        ``listening_since_ms``: since when the hub receives messages, Unix milliseconds.
        """
        owner = device_id.partition("/")[0]  # a module is its device's, and has a template of its own or that one's
        fields = self._directory.of((owner,)).get(owner, {})
        own = self._kept(device_id)
        body = own if own.get("template") else self._kept(owner)
        properties: dict[str, Mapping[str, Any]] = {}
        if sections & {"reported", "desired", "tags"}:
            twin = self._series.twin(device_id)
            parts = {"reported": twin.reported.properties, "desired": twin.desired.properties, "tags": twin.tags}
            properties |= {name: found for name, found in parts.items() if name in sections}
        if "cloud" in sections:
            properties["cloud"] = body.get("cloud") or {}
        facts = Facts(
            device_id,
            properties,
            template=str(body.get("template") or ""),
            version=int(body.get("version") or 0),
            product=str(fields.get("product") or ""),
            device_group=str(fields.get("device_group") or ""),
            listening_since_ms=listening_since_ms,
            groups=frozenset(each for each in groups if any(self._is_member(one, each) for one in {owner, device_id})),
        )
        return facts, str(fields.get("catalog") or "")

    def _kept(self, device_id: str) -> Mapping[str, Any]:
        """What operators keep of a device."""
        try:
            document = self._documents.find("device", device_id)
        except InvalidArgumentError:  # a name that no document can have
            return {}
        return {} if document is None else document.content

    def _is_member(self, device_id: str, group_id: str) -> bool:
        """Whether a device is in a device group now; nobody is in one that does not exist."""
        try:
            group = self._groups.get(group_id)
        except (NotFoundError, InvalidArgumentError):
            return False
        return any(is_member(group, each) for each in self._groups.facts([device_id], needs_of_filters(group.filters)))
