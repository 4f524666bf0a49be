# SPDX-License-Identifier: Apache-2.0
"""The console's source of what an application's author makes: the store and the views that the API's routes use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from armillary.api import views_dashboard
from armillary.api.authored import PARSERS, document_of
from armillary.api.dashboard_devices import Devices
from armillary.api.dashboard_live import batches, wanted_of
from armillary.console.sessions import Operator
from armillary.console.source import Document
from armillary.errors import NotFoundError
from armillary.twin.dashboard import Dashboard, parse

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.service.assemble import SecurityService

# A command waits so long for a device's answer (seconds): people wait for the page.
ANSWER_S = 10.0


class ServiceApplication:
    """Documents of the hub."""

    def __init__(self, service: SecurityService, hub: Hub) -> None:
        self._service = service
        self._hub = hub

    def documents(self, kind: str, *, after: str | None, limit: int) -> Document:
        """A page of documents."""
        page = self._hub.application.list(kind, limit=limit, after=after)
        return {"items": [document_of(each) for each in page.items], "next": page.next_after}

    def document(self, kind: str, document_id: str) -> Document:
        """One document."""
        return document_of(self._hub.application.get(kind, document_id))

    def check(self, kind: str, body: Document) -> None:
        """Whether a body may be kept."""
        PARSERS[kind](body)

    def keep(self, operator: Operator, kind: str, document_id: str, body: Document, etag: str) -> Document:
        """Keep a document."""
        self.check(kind, body)
        made = self._hub.application.put(kind, document_id, body, by=operator.name, if_match=etag)
        self._service.audit.append(operator.name, f"{kind}.put", document_id, {"version": made.version})
        return document_of(made)

    def drop(self, operator: Operator, kind: str, document_id: str, etag: str) -> None:
        """Delete a document."""
        self._hub.application.delete(kind, document_id, by=operator.name, if_match=etag)
        self._service.audit.append(operator.name, f"{kind}.delete", document_id, {})

    def tiles(self, body: Document, *, range_s: int | None, points: int) -> Document:
        """Data of a dashboard's tiles."""
        question = views_dashboard.Question(
            hub=self._hub,
            devices=Devices(self._hub),
            end_ms=int(time.time() * 1000) + 1,
            range_s=range_s,
            points=points,
        )
        found: Document = views_dashboard.data(question, parse(body))["tiles"]
        return found

    def tile_devices(self, body: Document, tile_id: str) -> list[Document]:
        """A tile's devices."""
        tile = _shown(body).tile(tile_id)
        if tile is None:
            raise NotFoundError(f"there is no tile {tile_id[:40]!r}", remedy="Reload the dashboard.")
        devices = Devices(self._hub)
        ids, connected = devices.of(tile.source), self._hub.connected()
        labels = devices.labels(ids[: views_dashboard.MAX_ROWS])
        return [{"device_id": each, "label": labels.get(each, each), "connected": each in connected} for each in ids]

    def wanted(self, body: Document) -> Mapping[str, frozenset[str]]:
        """What tiles show live."""
        return wanted_of(Devices(self._hub), _shown(body))

    def live(self, wanted: Mapping[str, frozenset[str]], closing: asyncio.Event) -> AsyncGenerator[list[Document]]:
        """What came, once a second."""
        return batches(self._hub, wanted, closing)

    def shed(self) -> None:
        """Count a reader that was let go."""
        self._hub.shed_live_reader()

    def call(self, operator: Operator, device_id: str, method: str, payload: Any) -> Document:
        """Call a direct method; the audit line comes first, as in the API's route."""
        self._service.audit.append(operator.name, "device.method", device_id, {"method": method})
        result = asyncio.run(self._hub.invoke_method(device_id, method, payload, ANSWER_S))
        return {"status": result.status, "payload": result.payload}


def _shown(body: Document) -> Dashboard:
    return parse(body)
