# SPDX-License-Identifier: Apache-2.0
"""The application platform as the rest of the process uses it: builds its parts in order, starts and closes them.

Each part gets what it uses and nothing else. Everything here may be called from any thread unless it says otherwise;
coroutines from the hub's event loop.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.documents.store import DocumentStore
from armillary.engines.exports.store import ExportStore
from armillary.engines.jobs.store import JobStore
from armillary.engines.rules.store import RuleStore
from armillary.engines.series.store import SeriesStore
from armillary.errors import NotFoundError
from armillary.platform.authored.device_facts import FactsReader
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.platform.authored.groups import Groups
from armillary.platform.authored.operations import OrganisationOperations
from armillary.platform.authored.organisations import Organisations
from armillary.platform.authored.pictures import PictureOperations
from armillary.platform.dashboards.alerts import DeviceAlerts
from armillary.platform.dashboards.devices import DashboardDevices
from armillary.platform.exports.exports import Exports
from armillary.platform.exports.operations import ExportOperations
from armillary.platform.exports.sources import Sources
from armillary.platform.import_files import ApplicationOperations
from armillary.platform.jobs.jobs import Jobs
from armillary.platform.jobs.operations import JobOperations
from armillary.platform.ports import Devices, Directory, NoDirectory, NoRegistry, NoUpdates, Registry, Updates
from armillary.platform.rules.actions import ActionSettings, RuleActions
from armillary.platform.rules.alert_search import AlertSearch
from armillary.platform.rules.alerts import AlertOperations
from armillary.platform.rules.facts import RuleFacts
from armillary.platform.rules.names import RuleNames
from armillary.platform.rules.operations import RuleOperations
from armillary.platform.rules.rules import Rules
from armillary.platform.rules.trial import RuleTrial
from armillary.platform.templates.device_operations import DeviceTemplateOperations
from armillary.platform.templates.device_templates import DeviceTemplates
from armillary.platform.templates.model_check import ModelCheck
from armillary.platform.templates.operations import TemplateOperations
from armillary.platform.templates.templates import Templates
from armillary.platform.templates.value_names import DeviceNaming


class Platform:
    """The parts of the application platform.

    Attributes:
        documents: All documents of authors, and what operators keep of devices.
        authored: Operations on authors' documents of any kind.
        device_templates: Which device has which template, and its cloud properties.
        naming: Names and units of devices' values.
        models: Checks messages against templates.
        template_operations, device_template_operations, rule_operations, alert_operations, job_operations,
            export_operations, picture_operations, organisation_operations, application_operations: What people do;
            each operation takes who acts.
    """

    def __init__(
        self,
        folder: Path,  # The hub's folder: documents, rules, runs, cursors and exported files are kept beside its series
        series: SeriesStore,
        devices: Devices,
        *,
        directory: Directory | None = None,
        updates: Updates | None = None,
        registry: Registry | None = None,
        settings: ActionSettings | None = None,
        clock: Callable[[], float] = time.time,  # Unix time, seconds
    ) -> None:
        """See the class; raises DataFolderError if the documents cannot be opened."""
        settings, audit = settings or ActionSettings(), series.outbox.audit
        self.directory = directory = directory or NoDirectory()
        # Secrets are kept apart from their documents: held while both are changed.
        changing_secrets = threading.Lock()
        self._devices = devices
        self.documents = documents = DocumentStore(folder, clock=clock, audit=audit)
        self.authored = AuthoredDocuments(documents)
        self.picture_operations = PictureOperations(self.authored, documents)
        self.templates = Templates(documents)
        self.device_templates = DeviceTemplates(documents, self.templates, directory, series)
        self.template_operations = TemplateOperations(
            documents, self.authored, self.templates, self.device_templates, directory
        )
        self.device_template_operations = DeviceTemplateOperations(
            self.templates, self.device_templates, directory, devices.twins
        )
        self.naming = DeviceNaming(documents, self.templates)
        self.models = ModelCheck(self.device_templates, devices)
        facts = FactsReader(series, documents, directory, devices)
        self.groups = Groups(documents, facts, directory)
        self.organisations = Organisations(documents, directory)
        job_store = OnDemand(lambda: JobStore(folder, audit), lambda: JobStore.exists(folder))
        self.jobs = Jobs(
            job_store,
            documents,
            self.groups,
            directory,
            devices,
            self.device_templates,
            updates or NoUpdates(),
            clock,
        )
        rule_store = OnDemand(lambda: RuleStore(folder, audit), lambda: RuleStore.exists(folder))
        rule_facts = RuleFacts(series, documents, directory, self.groups)
        actions = RuleActions(rule_store, devices, directory, self.naming, self.jobs, settings, clock)
        self.rules = Rules(series, documents, rule_facts, devices, rule_store, actions, clock)
        self.rule_operations = RuleOperations(
            self.authored,
            self.rules,
            rule_store,
            rule_facts,
            RuleNames(series, self.authored, self.templates, directory, self.naming),
            RuleTrial(series, directory, facts, rule_facts),
            self.naming,
            changing_secrets,
        )
        self.alerts = AlertSearch(rule_store, documents, self.naming, self.groups)
        self.alert_operations = AlertOperations(rule_store, self.alerts, actions, clock)
        export_store = OnDemand(lambda: ExportStore(folder, audit), lambda: True)
        sources = Sources(series, rule_store, directory, devices.begin_connectivity)
        self.exports = Exports(
            export_store, documents, self.groups, self.naming, sources, settings.hosts, folder, clock
        )
        self.organisation_operations = OrganisationOperations(
            self.organisations, self.authored, directory, registry or NoRegistry()
        )
        self.job_operations = JobOperations(self.jobs, self.authored)
        self.export_operations = ExportOperations(self.exports, documents, self.authored, changing_secrets)
        self.application_operations = ApplicationOperations(
            documents, self.export_operations, self.jobs, self.forget_document
        )
        self._stores = (job_store, export_store, documents)
        documents.on_change += [self.models.forget, self.templates.forget]

    async def start(self) -> None:
        """Continue what an earlier process left. Call it before the hub takes its first message."""
        await self.rules.start()
        await self.jobs.start()
        await self.exports.start()

    async def close(self) -> None:
        """Stop acting; work under way is repeated after the next start. Stores stay open: :meth:`close_stores`."""
        await self.jobs.close()
        await self.exports.close()
        await self.rules.close()

    def close_stores(self) -> None:
        """Keep the states of rules and close every store, after the hub has decoded its last message. Blocks."""
        self.rules.close_store()
        for store in self._stores:
            store.close()

    def counters(self) -> Mapping[str, int]:
        """Everything the platform counts, by name; names ending in ``_now`` go up and down."""
        return {
            **self.rules.count(),
            "values_checked": self.models.values_checked,
            "values_unmodelled": self.models.values_unmodelled,
            "values_misfit": self.models.values_misfit,
            **self.jobs.counts(),
            **self.exports.counts(),
        }

    def forget_document(self, kind: str, document_id: str) -> None:
        """Forget what a deleted document leaves; its name may be given again, to another owner.

        Raises:
            ConflictError: it is a job, and a run of it is under way.
        """
        if kind == "job":
            self.jobs.forget(document_id)
        elif kind == "export":
            self.exports.store.forget(document_id)
        elif kind == "rule":
            self.rule_operations.forget_secrets(document_id)

    def forget_device(self, device_id: str, *, by: str) -> None:
        """Delete what operators keep of a device with its modules, or of a module, on behalf of ``by``."""
        modules = self.documents.devices.modules_of(device_id)
        for each in (device_id, *modules):
            with contextlib.suppress(NotFoundError):
                self.documents.delete("device", each, by=by)

    def dashboard_devices(self, catalog: str | None = None) -> DashboardDevices:
        """The devices of one request's tiles, of a catalog or of all."""
        return DashboardDevices(self.documents, self.groups, self.directory, self.naming, self._devices.twins, catalog)

    def device_alerts(self, catalog: str | None = None) -> DeviceAlerts:
        """Alerts of one request's tiles, of a catalog or of all."""
        return DeviceAlerts(self.alerts, catalog)

    def template_of(self, device_id: str) -> str:
        """The device template of a device; empty for none."""
        document = self.documents.find("device", device_id)
        return "" if document is None else str(document.content.get("template") or "")
