# SPDX-License-Identifier: Apache-2.0
"""The devices that a dashboard's tiles are about, and what they are called; found once for each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from armillary.engines.documents.store import DocumentStore
from armillary.errors import NotFoundError
from armillary.platform.authored.documents import is_visible
from armillary.platform.authored.groups import Groups
from armillary.platform.ports import Directory, Twins
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.author.dashboard import TileSource
from armillary.twin.author.group import DeviceFacts, Needs
from armillary.twin.template.value_names import Naming

# So many devices are read one by one; for more, everything between the first and the last of them is read at once.
SINGLY: Final = 100
# Ids that nobody knows a name for are read as they are up to this length, else shortened.
LONGEST_LABEL: Final = 48
_NEEDS: Final = Needs(twin=True, cloud=True)


@dataclass(eq=False)
class DashboardDevices:
    """Devices of sources, as one request sees them."""

    _documents: DocumentStore
    _groups: Groups
    _directory: Directory
    _value_names: DeviceNaming
    _twins: Twins
    _catalog: str | None = None  # Only devices of this catalog; None for all
    _ids: dict[TileSource, tuple[str, ...]] = field(default_factory=dict, init=False)
    _facts: dict[str, DeviceFacts] = field(default_factory=dict, init=False)
    _names: dict[str, str] = field(default_factory=dict, init=False)
    _naming: dict[TileSource, Naming] = field(default_factory=dict, init=False)

    def of(self, source: TileSource | None) -> tuple[str, ...]:
        """Ids of a source's devices, sorted.

        Raises:
            NotFoundError: there is no such group; or no such device in the catalog.
        """
        if source is None:
            return ()
        if source not in self._ids:
            self._ids[source] = self._find(source)
        return self._ids[source]

    def naming(self, source: TileSource | None) -> Naming:
        """What the values of a source's devices are called. Raises as :meth:`of`."""
        if source is None:
            return Naming()
        if source not in self._naming:
            ids = self.of(source)
            named = self._value_names.of_devices(ids)
            if source.kind == "template" and not ids and self._is_theirs(source.id):  # nobody has it yet
                named = self._value_names.of_template(source.id)
            self._naming[source] = named
        return self._naming[source]

    def labels(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """What each device is called; one that the service does not know by its id, shortened if it is long."""
        missing = [each for each in device_ids if each not in self._names]
        if missing:
            known = self._directory.names(missing)
            self._names |= {each: known.get(each) or shortened(each) for each in missing}
        return {each: self._names[each] for each in device_ids}

    def properties(self, device_ids: Sequence[str], name: str) -> Mapping[str, Any]:
        """A property of devices, those that have it: reported, else kept by operators, else desired."""
        found = {}
        for device_id, facts in self._read(device_ids).items():
            if facts is None:
                continue
            for section in (facts.reported, facts.cloud, facts.desired):
                value = value_at(section, name)
                if value is not None:
                    found[device_id] = value
                    break
        return found

    def _find(self, source: TileSource) -> tuple[str, ...]:
        if source.kind == "group":
            return tuple(sorted(self._groups.ids(source.id, catalog=self._catalog)))
        ids = (source.id,) if source.kind == "device" else self._documents.devices.ids_of_template(source.id)
        if self._catalog is None:
            return ids
        wanted = self._catalog.lower()
        known = self._groups.facts(ids, Needs())
        mine = tuple(each.device_id for each in known if str(each.fields.get("catalog") or "").lower() == wanted)
        if source.kind == "device" and not mine:
            raise NotFoundError("this device is not in the catalog", remedy="Choose another device for the tile.")
        return mine

    def _is_theirs(self, template: str) -> bool:
        """Whether a device template may be seen by who asks; another catalog's is as good as none."""
        found = self._documents.find("template", template)
        return found is not None and is_visible(found, self._catalog)

    def _read(self, device_ids: Sequence[str]) -> Mapping[str, DeviceFacts | None]:
        missing = [each for each in device_ids if each not in self._facts]
        if len(missing) <= SINGLY:
            self._facts |= {each: self._one(each) for each in missing}
        else:
            self._facts |= {each.device_id: each for each in self._groups.facts(missing, _NEEDS)}
        return {each: self._facts.get(each) for each in device_ids}

    def _one(self, device_id: str) -> DeviceFacts:
        document, twin = self._documents.find("device", device_id), self._twins.get(device_id)
        body = {} if document is None else document.content
        return DeviceFacts(
            device_id=device_id,
            reported=twin.reported.properties,
            desired=twin.desired.properties,
            tags=twin.tags,
            cloud=body.get("cloud") or {},
        )


def shortened(device_id: str) -> str:
    """An id as it is shown where nobody knows a name."""
    return f"{device_id[:8]}…{device_id[-4:]}" if len(device_id) > LONGEST_LABEL else device_id


def value_at(section: Mapping[str, Any], path: str) -> Any:
    """The value at ``a.b`` of a document, None where there is none; what a device acknowledged is its ``value``."""
    found: Any = section
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    if isinstance(found, Mapping) and "value" in found and found.keys() <= {"value", "ac", "av", "ad"}:
        return found["value"]
    return found
