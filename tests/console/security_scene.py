# SPDX-License-Identifier: Apache-2.0
"""A scene for tests of the security pages: a real service with a signed feed, an image that it affects, two devices
that run it, one that runs the repaired one, crashes with names, and findings."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text
from tests.api.running_service import RunningService, application
from tests.console.scene import Scene
from tests.fixtures import reports
from tests.service.advisories.fleet import KEY, bill, bundle, osv, pem_of

from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.schema import schema
from armillary.identity.operator import Operator
from armillary.service.cases.cases import Said
from armillary.service.cases.subjects import Subject
from armillary.service.notifications.channels import ChannelForm
from armillary.service.watch.detections import Observation
from armillary.wire.device.crash_record import CrashRecord, Frame

ADVISORY, ALIAS, OTHER = "PYSEC-2026-7", "CVE-2026-1234", "PYSEC-2026-8"
KEV = {
    "catalogVersion": "1",
    "dateReleased": "2026-11-20T00:00:00Z",
    "count": 1,
    "vulnerabilities": [
        {
            "cveID": ALIAS, "vendorProject": "v", "product": "p", "vulnerabilityName": "n", "dateAdded": "2026-11-20",
            "dueDate": "2026-12-11",
        }
    ],
}  # fmt: skip
SEGV = CrashRecord(
    signal=11, exit_code=None, frames=(Frame("app", b"", 12, "pour"), Frame("app", b"", 99, "<script>brew"))
)
_COMPONENT = uuid.UUID(int=7)
_RUNS = (
    "UPDATE device_status SET verdict = 'attested', checked_in_at = :now, os_version = :os, installed = :installed"
    " WHERE device_number = (SELECT number FROM device WHERE device_id = :id)"
)


class SecurityScene(Scene):
    """The catalog ``northwind`` with three devices, and ``contoso`` with nothing."""

    def __init__(self, running: RunningService) -> None:
        super().__init__(running, "Kettles")
        running.service.registry.catalogs.create("contoso", actor="test")
        self.service = running.service
        groups = self.service.registry.groups
        groups.update("northwind", "Kettles", "Field", actor="test", country="DE")
        self.release = next(each for each in self.service.releases.list(chip="mt3620") if each.feed == "Retail")
        self.service.updates.bills.put_of_release(self.release.release_id, bill("pkg:pypi/flask@3.0.0"), actor="test")
        self.bad, self.good = self.image("pkg:pypi/django@3.2.10"), self.image("pkg:pypi/django@3.2.13")
        self.devices = [self.claimed().device_id for _ in range(3)]
        for each in self.devices:
            self.runs(each, self.bad)
        self.service.advisories.keys.trust("packer", pem_of(KEY), actor="test")
        self.feed(bundle([osv(ADVISORY, aliases=[ALIAS]), osv(OTHER, "jinja2")], as_of=time.time() - 3600))
        self.feed(bundle([KEV], as_of=time.time(), feed="kev", kind="kev", ecosystems=()))
        self.runs(self.devices[2], self.good)
        self.service.advisories.look()
        self.crash()
        self.service.watch.run_once()
        (self.crash_group,) = (each.fingerprint for each in self.service.watch.crashes.list("northwind").items)
        self.finding = self.observe("scene")
        facts = {"support_ends": int(time.time()) + 400 * 86_400, "manufacturer": "Northwind Kettles"}
        self.service.registry.products.declare("northwind", "Kettles", facts, actor="test")
        self.channel = self.channel_of("Desk file")
        self.dossier = str(self.service.dossiers.create("northwind", "Kettles", actor="anna").dossier_id)
        self.case = self.aware(f"{ALIAS} in kettles", Subject("advisory", ADVISORY))

    def channel_of(self, name: str) -> str:
        """A channel that writes a file on the service's disk; its id."""
        form = ChannelForm(name=name, kind="ocsf-file", options={})
        operator = Operator("anna", "Administrator", None, None)
        return str(self.service.notifications.channels.create(form, None, operator=operator).channel_id)

    def aware(self, title: str, about: Subject | None = None, hours: float = 2) -> str:
        """A case of an exploited vulnerability that somebody has been aware of for some hours; its id."""
        said = Said(kind="aware", at=int(time.time() - hours * 3600), text="A customer wrote", subject=about)
        cases, named = self.service.casework.cases, {"catalog": "northwind", "product": "Kettles"}
        return str(cases.aware("exploited-vulnerability", said, title=title, **named, actor="anna").row.case_id)

    def image(self, *purls: str) -> uuid.UUID:
        """An uploaded application with a bill of materials."""
        image_id, package = application("kettle")
        self.service.updates.images.upload("northwind", package, actor="test")
        self.service.updates.bills.put_of_image("northwind", image_id, bill(*purls), actor="test")
        return image_id

    def feed(self, content: bytes) -> None:
        """Import a bundle."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bundle")
            path.write_bytes(content)
            self.service.advisories.import_bundle(path, actor="test")

    def runs(self, device_id: str, image_id: uuid.UUID) -> None:
        """Have a device be attested with an image. What a check-in writes is written here."""
        installed = json.dumps([[str(uuid.uuid4()), str(image_id), 10, "kettle", "running"]])
        values = {"id": device_id, "installed": installed, "now": int(time.time()), "os": self.release.version}
        self.service.context.records.write(lambda c: c.execute(text(_RUNS), values))
        self.service.advisories.running.device_changed(device_id)
        self.service.advisories.look()

    def crash(self) -> None:
        """Two crashes of one bug."""

        def add(connection: Connection) -> None:
            for device_id, count in ((self.devices[0], 1), (self.devices[1], 3)):
                mine = schema.device.c.device_id == device_id
                number = connection.execute(select(schema.device.c.number).where(mine)).scalar_one()
                named = {"image_id": self.bad, "component_id": _COMPONENT}
                told = replace(reports.crash(**named, count=count, boot_count=count), crash=SEGV)
                report_rows.add(connection, number, [told], [], at=self.service.context.now())

        self.service.context.records.write(add)

    def observe(self, key: str, **changes: Any) -> str:
        """A finding about the first device; its id."""
        catalog_id = self.service.registry.catalogs.get("northwind").catalog_id
        seen = Observation(
            kind="connection-blocked", key=(key,), severity="medium", title=f"It tried to reach {key}.example",
            cause="not in its manifest", proposed_action="ask the author", device_ids=(self.devices[0],),
            catalog_id=catalog_id, image_id=self.bad,
        )  # fmt: skip
        return str(self.service.watch.observe(replace(seen, **changes)).finding_id)
