# SPDX-License-Identifier: Apache-2.0
"""The console's source of what an application's author makes: operations of platform, hub and service, and views."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from inspect import isfunction
from types import MappingProxyType
from typing import Any

from armillary.api.http.documents import as_document
from armillary.api.native.dashboard_live import batches, wanted_of
from armillary.api.views import dashboard as views_dashboard
from armillary.api.views.device_labels import names_of
from armillary.api.views.tile_choices import choices
from armillary.console.sources import (
    answers_alerts,
    answers_authored,
    answers_evidence,
    answers_guardians,
    answers_hub,
    answers_people,
    answers_registry,
    answers_releases,
    answers_response,
    answers_rollouts,
    answers_search,
    answers_security,
    answers_tables,
    answers_templates,
)
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document
from armillary.engines.documents.document import check_id
from armillary.errors import ArmillaryError, NotFoundError
from armillary.platform.authored.documents import PARSERS, document_of, version_before
from armillary.platform.dashboards.devices import DashboardDevices, shortened
from armillary.twin.author.dashboard import Dashboard, parse, parse_source

_ANSWERS = (
    answers_alerts,
    answers_authored,
    answers_evidence,
    answers_guardians,
    answers_hub,
    answers_people,
    answers_registry,
    answers_releases,
    answers_response,
    answers_rollouts,
    answers_search,
    answers_security,
    answers_tables,
    answers_templates,
)
# What pages ask: every function of the modules of answers, by its name.
QUESTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        name: each
        for module in _ANSWERS
        for name, each in vars(module).items()
        if isfunction(each) and each.__module__ == module.__name__ and not name.startswith("_")
    }
)
# A command waits so long for a device's answer (seconds): people wait for the page.
ANSWER_S = 10.0
# Between two looks at whether alerts have changed (seconds); a look compares two numbers.
ALERTS_S = 1.0


class ServiceApplication:
    """Documents of the hub."""

    def __init__(self, by: RequestContext) -> None:
        self._by, self._hub, self._platform = by, by.hub, by.platform

    def documents(self, kind: str, *, after: str | None, limit: int, search: str = "") -> Document:
        """A page of documents: id, version, etag, changed_ms, changed_by and body of each."""
        return self._platform.authored.listed(kind, self._by.catalog, limit, after, search)

    def document(self, kind: str, document_id: str) -> Document:
        """One document. Raises NotFoundError."""
        return document_of(self._platform.authored.visible(kind, document_id, self._by.catalog))

    def check(self, kind: str, body: Document) -> None:
        """Raise InvalidArgumentError for a body that may not be kept."""
        PARSERS[kind](body)

    def keep(self, kind: str, document_id: str, body: Document, etag: str) -> Document:
        """Keep a document; ``etag`` is the version that was seen, "" where there must be none yet."""
        platform, operator = self._platform, self._by.operator
        named = (check_id(document_id), body, self._by.catalog, etag)
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

    def drop(self, kind: str, document_id: str, etag: str, *, force: bool = False) -> None:
        """Delete a document; with ``force`` a group or job that something uses, too. Raises ConflictError."""
        platform, operator, named = self._platform, self._by.operator, (document_id, self._by.catalog, etag)
        match kind:
            case "export":
                platform.export_operations.delete(operator, *named)
            case "job":
                platform.job_operations.delete(operator, *named, force=force)
            case "rule":
                platform.rule_operations.delete(operator, *named)
            case _:
                platform.authored.delete(operator, kind, *named, force=force)

    def tiles(self, body: Document, *, range_s: int | None, points: int, end_ms: int | None = None) -> Document:
        """What every tile of a dashboard shows now, or of the time up to ``end_ms``: its data by the tile's id."""
        question = views_dashboard.Question(
            hub=self._hub,
            devices=self._devices(),
            alerts=self._platform.device_alerts(self._by.catalog),
            end_ms=int(time.time() * 1000) + 1 if end_ms is None else end_ms,
            range_s=range_s,
            points=points,
            since=self._by.tenures(),
        )
        found: Document = views_dashboard.data(question, parse(body))["tiles"]
        return found

    def tile_devices(self, body: Document, tile_id: str) -> list[Document]:
        """``device_id``, ``label`` and ``connected`` of a tile's devices."""
        tile = _shown(body).tile(tile_id)
        if tile is None:
            raise NotFoundError(f"there is no tile {tile_id[:40]!r}", remedy="Reload the dashboard.")
        devices = self._devices()
        ids, connected = devices.of(tile.source), self._hub.connected()
        labels = devices.labels(ids[: views_dashboard.MAX_ROWS])
        return [{"device_id": each, "label": labels.get(each, each), "connected": each in connected} for each in ids]

    def wanted(self, body: Document) -> Mapping[str, frozenset[str]]:
        """Device id -> names that the tiles show live."""
        return wanted_of(self._devices(), _shown(body))

    def tile_labels(self, body: Document) -> Mapping[str, list[Document]]:
        """What the values of each tile are called, by the tile's id."""
        return views_dashboard.tile_labels(self._devices(), _shown(body))

    def tile_choices(self, source: Document) -> Document:
        """What a tile of a source can show: see ``api/views/tile_choices.py``; nothing of a source that is gone."""
        try:
            return choices(self._devices(), self._hub.series, parse_source(source))
        except ArmillaryError:  # the form says so when it is sent
            return {}

    def previous(self, kind: str, document_id: str) -> Document:
        """The version before of a document. Raises NotFoundError if there is none that the operator may see."""
        self._platform.authored.visible(kind, document_id, self._by.catalog)
        history = self._platform.documents.history(kind, document_id)
        return document_of(version_before(history, self._by.catalog))

    def live(self, wanted: Mapping[str, frozenset[str]], closing: asyncio.Event) -> AsyncGenerator[list[Document]]:
        """What came, once a second: ``device_id``, ``name``, ``at_ms``, ``value``."""
        return batches(self._hub, self._platform.directory, wanted, closing, catalog=self._by.catalog)

    def open_alerts(self) -> Mapping[str, int]:
        """How many alerts are open of each severity, gravest first."""
        return self._platform.alerts.open_by_severity(self._by.catalog)

    async def alert_changes(self, closing: asyncio.Event) -> AsyncGenerator[Document]:
        """Open alerts of each severity: first as they are, then whenever they may have changed, once a second at most.

        Ends when ``closing`` is set.
        """
        alerts, seen, before = self._platform.alerts, None, None
        while not closing.is_set():
            changes = alerts.changes
            if changes != seen:
                found = await asyncio.to_thread(alerts.state_of_alerts, self._by.catalog)
                if found != before:
                    yield found
                seen, before = changes, found
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ALERTS_S):
                    await closing.wait()

    def shed(self) -> None:
        """Count a reader of live values that was let go."""
        self._hub.live.shed()

    def labels(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """What devices are called: names of those that the operator sees, else their ids, shortened."""
        if self._by.catalog is None:
            return self._devices().labels(device_ids)
        known = names_of(self._by.service, device_ids, self._by.operator.catalog)
        if (root := self._by.operator.organisation) is not None:
            organisations = self._platform.organisations
            reach = organisations.subtree(root)
            known = {each: name for each, name in known.items() if organisations.of_device(each) in reach}
        return {each: known.get(each) or shortened(each) for each in device_ids}

    def ask(self, question: str, **arguments: Any) -> Document:
        """The answer to a question, by its function's name in ``answers_*.py``, and its arguments; {} for none."""
        answer: Document | None = QUESTIONS[question](self._by, **arguments)
        return answer or {}

    def call(self, device_id: str, method: str, payload: Any) -> Document:
        """Call a direct method: ``status`` and ``payload``. Raises DeviceOfflineError, DeviceTimeoutError."""
        calling = self._hub.operations.invoke_method(self._by.operator, device_id, method, payload, ANSWER_S)
        result = asyncio.run(calling)
        return {"status": result.status, "payload": result.payload}

    def _devices(self) -> DashboardDevices:
        return self._platform.dashboard_devices(self._by.catalog)


def _shown(body: Document) -> Dashboard:
    return parse(body)
