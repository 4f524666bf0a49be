# SPDX-License-Identifier: Apache-2.0
"""The console's source of what an application's author makes: operations of platform, hub and service, and views."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from inspect import isfunction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import as_document
from armillary.api.native.dashboard_live import batches, wanted_of
from armillary.api.views import dashboard as views_dashboard
from armillary.console.sources import answers_authored, answers_hub, answers_templates
from armillary.console.sources.acting import Acting
from armillary.console.sources.source import Document
from armillary.engines.documents.document import check_id
from armillary.errors import NotFoundError
from armillary.identity.operator import Operator
from armillary.platform.authored.documents import PARSERS, document_of
from armillary.platform.dashboards.devices import DashboardDevices
from armillary.twin.author.dashboard import Dashboard, parse

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

# What pages ask: every function of the modules of answers, by its name.
QUESTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        name: each
        for module in (answers_authored, answers_hub, answers_templates)
        for name, each in vars(module).items()
        if isfunction(each) and each.__module__ == module.__name__ and not name.startswith("_")
    }
)
# A command waits so long for a device's answer (seconds): people wait for the page.
ANSWER_S = 10.0


class ServiceApplication:
    """Documents of the hub."""

    def __init__(self, service: SecurityService, hub: Hub, platform: Platform) -> None:
        self._service = service
        self._hub = hub
        self._platform = platform

    def documents(self, kind: str, *, after: str | None, limit: int) -> Document:
        """A page of documents."""
        page = self._platform.documents.list(kind, limit=limit, after=after)
        return {"items": [document_of(each) for each in page.items], "next": page.next_after}

    def document(self, kind: str, document_id: str) -> Document:
        """One document."""
        return document_of(self._platform.documents.get(kind, document_id))

    def check(self, kind: str, body: Document) -> None:
        """Whether a body may be kept."""
        PARSERS[kind](body)

    def keep(self, operator: Operator, kind: str, document_id: str, body: Document, etag: str) -> Document:
        """Keep a document."""
        platform, named = self._platform, (check_id(document_id), body, None, etag)
        match kind:
            case "export":
                made: Document = as_document(platform.export_operations.put(operator, *named))
            case "job":
                made = platform.job_operations.put(operator, *named)
            case "rule":
                made = platform.rule_operations.put(operator, *named)
            case _:
                made = platform.authored.put(operator, kind, *named)
        return made

    def drop(self, operator: Operator, kind: str, document_id: str, etag: str, *, force: bool = False) -> None:
        """Delete a document."""
        platform, named = self._platform, (document_id, None, etag)
        match kind:
            case "export":
                platform.export_operations.delete(operator, *named)
            case "job":
                platform.job_operations.delete(operator, *named, force=force)
            case "rule":
                platform.rule_operations.delete(operator, *named)
            case _:
                platform.authored.delete(operator, kind, *named, force=force)

    def tiles(self, body: Document, *, range_s: int | None, points: int) -> Document:
        """Data of a dashboard's tiles."""
        question = views_dashboard.Question(
            hub=self._hub,
            devices=self._devices(),
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
        devices = self._devices()
        ids, connected = devices.of(tile.source), self._hub.connected()
        labels = devices.labels(ids[: views_dashboard.MAX_ROWS])
        return [{"device_id": each, "label": labels.get(each, each), "connected": each in connected} for each in ids]

    def wanted(self, body: Document) -> Mapping[str, frozenset[str]]:
        """What tiles show live."""
        return wanted_of(self._devices(), _shown(body))

    def tile_labels(self, body: Document) -> Mapping[str, list[Document]]:
        """What values are called."""
        return views_dashboard.tile_labels(self._devices(), _shown(body))

    def live(self, wanted: Mapping[str, frozenset[str]], closing: asyncio.Event) -> AsyncGenerator[list[Document]]:
        """What came, once a second."""
        return batches(self._hub, self._platform.directory, wanted, closing)

    def shed(self) -> None:
        """Count a reader that was let go."""
        self._hub.live.shed()

    def labels(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """What devices are called."""
        return self._devices().labels(device_ids)

    def ask(self, operator: Operator, question: str, **arguments: Any) -> Document:
        """An answer."""
        acting = Acting(self._service, self._hub, self._platform, operator)
        answer: Document | None = QUESTIONS[question](acting, **arguments)
        return answer or {}

    def call(self, operator: Operator, device_id: str, method: str, payload: Any) -> Document:
        """Call a direct method."""
        calling = self._hub.operations.invoke_method(operator, device_id, method, payload, ANSWER_S)
        result = asyncio.run(calling)
        return {"status": result.status, "payload": result.payload}

    def _devices(self) -> DashboardDevices:
        return self._platform.dashboard_devices()


def _shown(body: Document) -> Dashboard:
    return parse(body)
