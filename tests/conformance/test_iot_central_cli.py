# SPDX-License-Identifier: Apache-2.0
"""The Azure CLI's own IoT Central client, unmodified, against what is answered in IoT Central's shape.

Source: github.com/Azure/azure-iot-cli-extension, ``azext_iot/central/services``: what ``az iot central`` calls. It is not on
PyPI and never copied here: ``AZURE_IOT_CLI_EXTENSION_DIR`` names a checkout. The libraries that it imports come from PyPI
into an environment of their own. It makes addresses of an application and a domain: ``https://{127}.{0.0.1:PORT}/api/..``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.central_client import Central, make_template
from tests.api.running_service import RunningService, running_service
from tests.conformance.azure_sdk import Sdk, environment, free_host
from tests.fixtures.certificates import self_signed

CHECKOUT = os.environ.get("AZURE_IOT_CLI_EXTENSION_DIR", "")
PACKAGES = ("azure-cli-core==2.91.0", "msrest==0.7.1", "requests==2.34.2")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not CHECKOUT, reason="set AZURE_IOT_CLI_EXTENSION_DIR to a checkout of github.com/Azure/azure-iot-cli-extension"
    ),
]

HEAD = """
import json, os, time
from azext_iot.central.services import (api_token, device, device_group, device_template, enrollment_group, file_upload,
    job, organization, query, role, scheduled_job)
where = {"cmd": None, "app_id": os.environ["APP"], "token": os.environ["TOKEN"], "central_dns_suffix": os.environ["DOMAIN"]}
template = os.environ["TEMPLATE"]
out = {}
def refused(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Exception as error:
        return type(error).__name__
    return "nothing"
"""


@pytest.fixture(scope="module")
def client() -> Sdk:
    return Sdk(environment(PACKAGES, "iot-central-cli"))


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Central]:
    host = free_host()
    with running_service(tmp_path_factory.mktemp("cli"), host=host, public_host=host) as service:
        service.service.registry.catalogs.create("Contoso", actor="test")
        yield Central.of(service, "Contoso")


def run(client: Sdk, central: Central, folder: Path, body: str, template: str = "", **variables: str) -> Any:
    service: RunningService = central.service
    app, _, domain = f"{service.host}:{service.port}".partition(".")
    names = {"APP": app, "DOMAIN": domain, "TOKEN": central.token, "TEMPLATE": template, "PYTHONPATH": CHECKOUT}
    script = HEAD + body + "\nprint()\nprint(json.dumps(out))\n"
    return json.loads(client.start(script, service, folder, **names, **variables).finish().splitlines()[-1])


def test_devices_and_their_properties(client: Sdk, central: Central, tmp_path: Path) -> None:
    out = run(client, central, tmp_path, """
made = device.create_device(device_id="fan-1", device_name="Fan", template=template, simulated=False, organizations=None, **where)
out["made"] = [made.id, made.display_name, made.template == template, made._device_status.value]
out["keys"] = sorted(device.get_device_credentials(device_id="fan-1", **where))
changed = device.update_device(device_id="fan-1", device_name="Fan 1", template=None, simulated=None, enabled=None,
    organizations=None, **where)
out["changed"] = [changed.display_name, changed._device_status.value]
out["listed"] = [each.id for each in device.list_devices(filter=None, **where)]
out["summary"] = device.get_device_registration_summary(**where)
part = {"device_id": "fan-1", "module_name": None, "component_name": None}
device.update_properties(payload={"fanSpeed": 2.5, "Customer": "C"}, **part, **where)
device.update_properties(payload={"voltage": 5}, **{**part, "component_name": "settings"}, **where)
shown = device.get_device_properties_or_telemetry_value(telemetry_name=None, **part, **where)
out["shown"] = [shown["Customer"], shown["$metadata"]["fanSpeed"]["desiredValue"], "settings" in shown]
out["telemetry"] = device.get_device_properties_or_telemetry_value(telemetry_name="temperature", **part, **where)
out["components"] = [each["name"] for each in device.list_device_components(device_id="fan-1", module_name=None, **where)["value"]]
out["history"] = device.get_command_history(command_name="reboot", **part, **where)
out["attestation"] = device.create_device_attestation(device_id="fan-1", payload={"type": "symmetricKey"}, **where)["type"]
out["unattested"] = device.delete_device_attestation(device_id="fan-1", **where)
out["query"] = query.query_run(query=f"SELECT $id, fanSpeed, Customer FROM {template}", **where)
out["deleted"] = [device.delete_device(device_id="fan-1", **where), refused(device.get_device, device_id="fan-1", **where)]
""", make_template(central))  # fmt: skip
    assert out["made"] == ["fan-1", "Fan", True, "registered"]
    assert out["keys"] == ["idScope", "symmetricKey"]
    assert out["changed"] == ["Fan 1", "provisioned"]
    assert out["listed"] == ["fan-1"]
    assert out["shown"] == ["C", 2.5, True]
    assert (out["telemetry"], out["components"], out["history"]) == ({}, ["settings"], {"value": []})
    assert (out["attestation"], out["unattested"]) == ("symmetricKey", {"result": "success"})
    assert out["query"]["results"] == [{"$id": "fan-1", "fanSpeed": 2.5, "Customer": "C"}]
    assert out["deleted"] == [{"result": "success"}, "AzureResponseError"]


def test_groups_jobs_and_templates(client: Sdk, central: Central, tmp_path: Path) -> None:
    out = run(client, central, tmp_path, """
device.create_device(device_id="fan-2", device_name=None, template=template, simulated=False, organizations=None, **where)
text = f'SELECT * FROM devices WHERE $template = "{template}" AND $provisioned = false'
group = device_group.create_device_group(device_group_id="Fans", display_name="Fans", filter=text, description="All", etag=None,
    organizations=None, **where)
out["group"] = [group.id, group.filter == text, group.description]
out["groups"] = [each.id for each in device_group.list_device_groups(**where)]
limits = {"batch_percentage": True, "threshold_percentage": False, "threshold_batch": False, "batch": 50, "threshold": 1}
content = [{"type": "property", "target": template, "path": "settings.voltage", "value": 7}]
made = job.create_job(job_id="setVoltage", group_id="Fans", content=content, job_name="Set", description="x", **limits, **where)
out["job"] = [made.id, made.data == content, made.batch]
end = time.monotonic() + 20
while job.get_job(job_id="setVoltage", **where).status == "running" and time.monotonic() < end:
    time.sleep(0.05)
out["status"] = job.get_job(job_id="setVoltage", **where).status
out["devices"] = job.get_job_devices(job_id="setVoltage", **where)
out["jobs"] = [each.id for each in job.list_jobs(**where)]
out["rerun"] = refused(job.rerun_job, job_id="setVoltage", rerun_id="again", **where)
schedule = {"start": "2099-01-01T00:00:00.000Z", "recurrence": "weekly"}
later = scheduled_job.create_scheduled_job(job_id="weekly", group_id="Fans", content=content, schedule=schedule, job_name=None,
    description=None, **limits, **where)
out["scheduled"] = [later.id, later.schedule]
out["all scheduled"] = [each.id for each in scheduled_job.list_scheduled_jobs(**where)]
scheduled_job.delete_scheduled_job(job_id="weekly", **where)
shown = device_template.get_device_template(device_template_id=template, **where)
out["template"] = shown["@id"] if isinstance(shown, dict) else shown.raw_template["@id"]
out["file"] = file_upload.get_fileupload(**where).state
""", make_template(central))  # fmt: skip
    assert out["group"] == ["Fans", True, "All"]
    assert out["groups"] == ["Fans"]
    assert out["job"][:2] == ["setVoltage", True]
    assert out["job"][2] == {"type": "percentage", "value": 50}
    assert (out["status"], out["devices"]) == ("complete", [{"id": "fan-2", "status": "completed"}])
    assert (out["jobs"], out["rerun"]) == (["setVoltage"], "AzureResponseError")
    assert out["scheduled"] == ["weekly", {"start": "2099-01-01T00:00:00.000Z", "recurrence": "weekly"}]
    assert out["all scheduled"] == ["weekly"]
    assert out["template"].startswith("dtmi:contoso:T")
    assert out["file"] == "succeeded"


def test_access_and_enrolment(client: Sdk, central: Central, tmp_path: Path) -> None:
    _, pem, authority = self_signed(tmp_path, "Factory of the CLI", authority=True)
    (tmp_path / "ca.pem").write_text(pem)
    out = run(client, central, tmp_path, """
made = organization.create_or_update_org(org_id="emea", org_name="EMEA", parent_org=None, update=False, **where)
out["organisation"] = [made.id, made.display_name]
out["organisations"] = [each.id for each in organization.list_orgs(**where)]
roles = {each.display_name: each.id for each in role.list_roles(**where)}
out["roles"] = sorted(roles)[:2]
made = api_token.add_api_token(token_id="script", role=roles["Builder"], org_id=None, api_version="2022-07-31", **where)
out["works"] = [each.id for each in organization.list_orgs(**{**where, "token": made["token"]})]
out["deleted"] = api_token.delete_api_token(token_id="script", api_version="2022-07-31", **where)
out["gone"] = refused(organization.list_orgs, **{**where, "token": made["token"]})
group = enrollment_group.create_enrollment_group(attestation="x509", primary_key=None, secondary_key=None, display_name="line",
    type="iot", group_id="line", **where)
out["group"] = [group.id, group.attestation]
shown = enrollment_group.create_x509(group_id="line", primary_cert=open("ca.pem").read(), secondary_cert=None, etag=None, **where)
out["verified"] = shown["verified"]
out["code"] = enrollment_group.generate_verification_code(group_id="line", certificate_entry="primary", **where)
group = enrollment_group.create_enrollment_group(attestation="symmetricKey", primary_key=None, secondary_key=None,
    display_name="keys", type="iot", group_id="keys", **where)
out["keys"] = sorted(group.attestation["symmetricKey"])
out["groups"] = [each.id for each in enrollment_group.list_enrollment_groups(**where)]
""")  # fmt: skip
    assert (out["organisation"], out["organisations"]) == (["emea", "EMEA"], ["emea"])
    assert out["roles"] == ["Administrator", "Builder"]
    assert (out["works"], out["deleted"], out["gone"]) == (["emea"], {"result": "success"}, "AzureResponseError")
    assert out["group"] == ["line", {"type": "x509"}]
    assert out["verified"] is False
    code = out["code"]["verificationCode"]
    proof = self_signed(tmp_path, code, issuer=authority)[1]
    central.good("POST", "/enrollmentGroups/line/certificates/primary/verify", {"certificate": proof}, status=204)
    assert (out["keys"], out["groups"]) == (["primaryKey", "secondaryKey"], ["keys", "line"])
