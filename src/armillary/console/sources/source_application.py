# SPDX-License-Identifier: Apache-2.0
"""The console's source of what an application's author makes: the store and the views that the API's routes use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from armillary.api.native.authored import PARSERS, document_of
from armillary.api.native.dashboard_live import batches, wanted_of
from armillary.api.native.hub import (
    hub_devices as native_hub_devices,
    hub_enrolments as native_hub_enrolments,
    hub_service_keys as native_hub_service_keys,
    series as native_series,
    telemetry as native_telemetry,
)
from armillary.api.native.platform import (
    dashboards as native_dashboards,
    exports as native_exports,
    groups as native_groups,
    jobs as native_jobs,
    rules as native_rules,
    templates as native_templates,
)
from armillary.api.native.service import device_names as native_device_names, status as native
from armillary.api.views import dashboard as views_dashboard
from armillary.console.sources.source import Document
from armillary.engines.documents.document import check_id
from armillary.errors import NotFoundError
from armillary.identity.operator import Operator
from armillary.platform.dashboards.devices import DashboardDevices
from armillary.twin.author.dashboard import Dashboard, parse

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

# kind of document -> the routes that keep and delete it.
PUT: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "dashboard": native_dashboards.put_dashboard,
        "export": native_exports.put_export,
        "group": native_groups.put_group,
        "job": native_jobs.put_job,
        "rule": native_rules.put_rule,
    }
)
DELETE: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "dashboard": native_dashboards.delete_dashboard,
        "export": native_exports.delete_export,
        "group": native_groups.delete_group,
        "job": native_jobs.delete_job,
        "rule": native_rules.delete_rule,
    }
)
# What pages ask: routes by the name of their function.
QUESTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            native.fleet,
            native_device_names.name_device,
            native_device_names.find_device,
            native_exports.list_exports,
            native_exports.show_export,
            native_exports.list_dead_letters,
            native_groups.list_groups,
            native_groups.group_members,
            native_groups.group_uses,
            native_hub_devices.list_hub_devices,
            native_hub_devices.make_hub_device,
            native_hub_devices.show_hub_device,
            native_hub_devices.change_hub_device,
            native_hub_devices.delete_hub_device,
            native_hub_devices.make_module,
            native_hub_devices.change_module,
            native_hub_devices.delete_module,
            native_hub_devices.show_admission,
            native_hub_devices.change_admission,
            native_hub_enrolments.list_hub_enrolments,
            native_hub_enrolments.change_hub_enrolment,
            native_hub_enrolments.delete_hub_enrolment,
            native_hub_enrolments.list_hub_registrations,
            native_hub_service_keys.list_hub_service_keys,
            native_hub_service_keys.make_hub_service_key,
            native_hub_service_keys.delete_hub_service_key,
            native_jobs.list_jobs,
            native_jobs.show_job,
            native_jobs.job_uses,
            native_jobs.list_runs,
            native_jobs.list_results,
            native_jobs.begin_run,
            native_jobs.cancel_run,
            native_rules.list_rules,
            native_rules.show_rule,
            native_rules.enable_rule,
            native_rules.disable_rule,
            native_rules.rule_trace,
            native_rules.try_kept_rule,
            native_rules.list_alerts,
            native_rules.acknowledge_alert,
            native_series.device_raw,
            native_templates.list_templates,
            native_templates.show_template,
            native_templates.show_template_version,
            native_templates.put_template,
            native_templates.import_template,
            native_templates.check_template,
            native_templates.publish_template,
            native_templates.migrate_template,
            native_templates.delete_template,
            native_templates.template_devices,
            native_templates.template_uses,
            native_templates.show_device_template,
            native_templates.set_device_template,
            native_templates.unset_device_template,
            native_templates.set_device_properties,
            native_templates.set_cloud_properties,
            native_telemetry.device_twin,
            native_telemetry.patch_device_twin,
        )
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
        made: Document = PUT[kind](self._request(operator), check_id(document_id), body, if_match=etag)
        return made

    def drop(self, operator: Operator, kind: str, document_id: str, etag: str, *, force: bool = False) -> None:
        """Delete a document."""
        DELETE[kind](self._request(operator), document_id, if_match=etag, **({"force": True} if force else {}))

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
        """The answer of a route."""
        answer: Document = QUESTIONS[question](self._request(operator), **arguments)
        return answer

    def call(self, operator: Operator, device_id: str, method: str, payload: Any) -> Document:
        """Call a direct method; the audit line comes first, as in the API's route."""
        self._service.audit.append(operator.name, "device.method", device_id, {"method": method})
        result = asyncio.run(self._hub.invoke_method(device_id, method, payload, ANSWER_S))
        return {"status": result.status, "payload": result.payload}

    def _devices(self) -> DashboardDevices:
        return self._platform.dashboard_devices()

    def _request(self, operator: Operator) -> Request:
        """A request as routes see it: of this service and hub, by this operator, without a body or a query."""
        state = SimpleNamespace(service=self._service, hub=self._hub, platform=self._platform)
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [],
            "path_params": {},
            "app": SimpleNamespace(state=state),
            "state": {"operator": operator},
        }
        return Request(scope)


def _shown(body: Document) -> Dashboard:
    return parse(body)
