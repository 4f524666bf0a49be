# SPDX-License-Identifier: Apache-2.0
"""A client of the API in IoT Central's shape: one application (a catalog), its token, its version."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.api.running_service import Reply, RunningService, fresh

VERSION = "2022-07-31"
TIME = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


@dataclass(frozen=True)
class Central:
    """Calls of somebody who holds a token of one catalog."""

    service: RunningService
    catalog: str
    token: str

    @classmethod
    def of(cls, service: RunningService, catalog: str, role: str = "Administrator", **more: Any) -> Central:
        made = service.service.tokens.create(fresh("central"), role, actor="test", catalog=catalog, **more)
        return cls(service, catalog, made.secret)

    @classmethod
    def new(cls, service: RunningService, word: str, **admits: bool) -> Central:
        """Of a catalog of its own, which admits hub devices in these ways."""
        return cls.of(service, service.make_catalog(fresh(word), **admits))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str = VERSION,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        mark = "&" if "?" in path else "?"
        return self.service.call(
            method, f"/api{path}{mark}api-version={version}", body, token=self.token, headers=headers
        )

    def good(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        reply = self.call(method, path, body, **options)
        assert reply.status == status, (method, path, reply.status, reply.raw)
        return reply.body

    def refused(self, method: str, path: str, body: Any = None, *, status: int, **options: Any) -> str:
        """The message of an error, whose shape is checked."""
        reply = self.call(method, path, body, **options)
        assert reply.status == status, (method, path, reply.status, reply.raw)
        error = reply.body["error"]
        assert set(error) == {"code", "message", "requestId", "time", "innererror"}
        assert reply.headers["x-ms-error-code"] == error["code"]
        assert TIME.fullmatch(error["time"])
        uuid.UUID(error["requestId"])
        return str(error["message"])


def make_template(central: Central, mark: str = "", label: str = "Temperature") -> str:
    """A published template with a component, commands, telemetry, writable and cloud properties; its identifier."""
    identifier = f"dtmi:contoso:T{mark or uuid.uuid4().hex[:8]};1"
    part = identifier.replace(";1", ":Settings;1")
    contents = [
        {"@type": "Telemetry", "name": "temperature", "displayName": label, "schema": "double"},
        {"@type": "Telemetry", "name": "place", "schema": {"@type": "Object", "fields": [
            {"name": "x", "schema": "double"}, {"name": "y", "schema": "double"}]}},
        {"@type": "Property", "name": "fanSpeed", "schema": "double", "writable": True},
        {"@type": "Property", "name": "model", "schema": "string"},
        {"@type": "Command", "name": "reboot"},
        {"@type": ["Property", "Cloud", "StringValue"], "name": "Customer", "schema": "string"},
        {"@type": "Component", "name": "settings", "schema": {
            "@id": part, "@type": "Interface", "contents": [
                {"@type": "Property", "name": "voltage", "schema": "integer", "writable": True},
                {"@type": "Property", "name": "current", "schema": "integer", "writable": True},
                {"@type": "Telemetry", "name": "noise", "schema": "integer"},
                {"@type": "Command", "name": "calibrate"}]}},
    ]  # fmt: skip
    body = {
        "@type": ["ModelDefinition", "DeviceModel"],
        "displayName": "Fan",
        "capabilityModel": {
            "@context": ["dtmi:iotcentral:context;2", "dtmi:dtdl:context;2"],
            "@id": identifier.replace("T", "M", 1),
            "@type": "Interface",
            "displayName": "Fan",
            "contents": contents,
        },
    }
    made = central.good("PUT", f"/deviceTemplates/{identifier}", body)
    assert made["@id"] == identifier
    return identifier
