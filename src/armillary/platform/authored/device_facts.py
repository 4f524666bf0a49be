# SPDX-License-Identifier: Apache-2.0
"""What is known of many devices at once, for queries: a page of devices costs a handful of reads, whatever its size.

The security service knows who owns a device and how it is doing (:class:`armillary.platform.ports.Directory`). A device
that connected to the hub and that no directory knows (the hub runs alone, or simulates the device) is there as well,
without an owner. A device that the directory knows and nobody owns is nobody's member. Modules are found by their
template, and as their device's owner's; a query without a template finds devices alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from armillary.engines.documents.store import DocumentStore
from armillary.engines.hub.devices import read_device_ids
from armillary.engines.hub.twins import read_twins
from armillary.engines.series.store import SeriesStore
from armillary.platform.ports import Devices, Directory, Fields
from armillary.twin.author.group import DeviceFacts, Needs, Value
from armillary.twin.document.document import Twin

# Devices read at a time: a few megabytes of twins at most, and every query has at most so many marks.
CHUNK: Final = 500
# Last values of one name that a query reads: more devices than one hub has.
MAX_LATEST: Final = 1_000_000


@dataclass(eq=False)
class FactsReader:
    """Reads facts. Methods block: call them from threads."""

    _series: SeriesStore
    _kept: DocumentStore
    _directory: Directory
    _devices: Devices

    def scan(
        self, needs: Needs, *, catalog: str | None = None, template: str | None = None, after: str = ""
    ) -> Iterator[DeviceFacts]:
        """Every device by id, of a catalog or template only where one is given; read lazily, from behind ``after``."""
        since = self._since(needs)
        latest = {name: _own(self._series.fleet.latest(None, name, MAX_LATEST), since) for name in needs.telemetry}
        while True:
            known, last = self._chunk(catalog, template, after)
            if known:
                yield from self._facts(known, needs, latest)
            if last is None:
                return
            after = last

    def of(self, device_ids: Sequence[str], needs: Needs) -> list[DeviceFacts]:
        """Facts of some devices, in their order; those that nobody owns are left out."""
        found: list[DeviceFacts] = []
        ids, since = iter(device_ids), self._since(needs)
        while chunk := list(islice(ids, CHUNK)):
            known = self._owned(chunk)
            if not known:
                continue
            latest = {name: _own(self._series.fleet.latest(chunk, name, CHUNK), since) for name in needs.telemetry}
            found += self._facts({each: known[each] for each in chunk if each in known}, needs, latest)
        return found

    def _chunk(self, catalog: str | None, template: str | None, after: str) -> tuple[Mapping[str, Fields], str | None]:
        """Some devices by id, and where to go on; None at the end."""
        if template is not None:
            page = self._kept.devices.of_template(template, limit=CHUNK, after=after or None)
            known = self._owned([each.id for each in page.items])
            return _of_catalog(known, catalog), page.next_after
        rows = self._directory.page(catalog=catalog, after=after, limit=CHUNK)
        last = rows[-1][0] if len(rows) == CHUNK else None
        found = {device_id: fields for device_id, fields in rows if fields.get("catalog") is not None}
        if catalog is None:
            unlisted, last = self._unlisted(after, last)
            found = {each: fields for each, fields in sorted({**unlisted, **found}.items()) if each <= (last or each)}
        return found, last

    def _unlisted(self, after: str, last: str | None) -> tuple[dict[str, Fields], str | None]:
        """Devices between two ids that only the hub knows."""
        known = self._series.read(lambda connection: read_device_ids(connection, after, last, CHUNK + 1))
        if len(known) > CHUNK:  # more of them than of the directory's: the chunk ends here
            del known[CHUNK:]
            last = known[-1]
        devices = [each for each in known if not set("/#") & set(each)]  # no modules, and none that are forgotten
        listed = self._directory.of(devices)
        return {each: {} for each in devices if each not in listed}, last

    def _owned(self, device_ids: Sequence[str]) -> dict[str, Fields]:
        """Fields of devices that somebody owns or that only the hub knows."""
        known = self._directory.of(device_ids)
        return {
            each: known.get(each, {})
            for each in device_ids
            if each not in known or known[each].get("catalog") is not None
        }

    def _facts(
        self, known: Mapping[str, Fields], needs: Needs, latest: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[DeviceFacts]:
        ids, connected = list(known), self._devices.connected()
        documents = self._documents(ids) if needs.cloud or needs.template else {}
        twins = self._series.read(lambda connection: read_twins(connection, ids)) if needs.twin else {}
        for device_id, fields in known.items():
            twin = twins.get(device_id) or Twin(device_id=device_id)
            document = documents.get(device_id, {})
            values = {name: value for name in latest if (value := latest[name].get(device_id)) is not None}
            yield DeviceFacts(
                device_id=device_id,
                fields={
                    **fields,
                    "connected": device_id in connected,
                    "template": document.get("template"),
                    "template_version": document.get("version"),
                },
                reported=twin.reported.properties,
                desired=twin.desired.properties,
                tags=twin.tags,
                cloud=document.get("cloud") or {},
                telemetry=values,
            )

    def _documents(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """What operators keep of devices: template and cloud properties."""
        found: dict[str, Mapping[str, Any]] = {}
        wanted, last = set(ids), max(ids)
        after: str | None = _before(min(ids))
        while after is not None:
            page = self._kept.list("device", after=after, limit=len(ids))
            found |= {each.id: each.content for each in page.items if each.id in wanted}
            after = page.next_after if page.next_after is not None and page.next_after < last else None
        return found

    def _since(self, needs: Needs) -> Mapping[str, int]:
        """When devices that had an earlier owner came to theirs; nothing where no values are needed."""
        return self._directory.second_hand(None) if needs.telemetry else {}


def _own(latest: Iterable[tuple[str, int, Value]], since: Mapping[str, int]) -> Mapping[str, Value]:
    """Values by device, but those that a device sent before its owner had it: they are not its owner's."""
    return {each: value for each, at_ms, value in latest if at_ms >= since.get(each.partition("/")[0], 0)}


def _of_catalog(known: Mapping[str, Fields], catalog: str | None) -> Mapping[str, Fields]:
    if catalog is None:
        return known
    wanted = catalog.lower()
    return {each: fields for each, fields in known.items() if str(fields.get("catalog") or "").lower() == wanted}


def _before(device_id: str) -> str:
    """A text that is less than an id and greater than every id before it, as far as ids go."""
    return device_id[:-1]


def of_catalog(directory: Directory, device_ids: Sequence[str], catalog: str) -> frozenset[str]:
    """Those of some devices that are in a catalog now. Blocks: call it from a thread."""
    found: set[str] = set()
    for at in range(0, len(device_ids), CHUNK):
        owners = directory.of(device_ids[at : at + CHUNK])
        found |= {each for each, has in owners.items() if str(has.get("catalog") or "").lower() == catalog.lower()}
    return frozenset(found)
