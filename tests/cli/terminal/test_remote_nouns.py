# SPDX-License-Identifier: Apache-2.0
"""az sphere's nouns and verbs, and ours, from the command line to the records and back."""

from __future__ import annotations

import csv
import io
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from tests.api.running_service import RunningService, application, fresh_os_version, wait_until
from tests.cli.conftest import Command
from tests.fixtures.reports import crash

from armillary.hub.front.methods import MethodResult
from armillary.wire.image import capability_file


@pytest.fixture
def catalog(armillary: Command) -> str:
    name = f"C-{uuid.uuid4().hex[:10]}"
    assert armillary("catalog", "create", "-c", name).code == 0
    assert armillary("product", "create", "-c", name, "-p", "Coffee", "--description", "makes coffee").code == 0
    assert armillary("device-group", "create-defaults", "-c", name, "-p", "Coffee").code == 0
    return name


def _image(armillary: Command, catalog: str, tmp_path: Path, name: str = "Blink") -> str:
    image_id, package = application(name)
    file = tmp_path / f"{image_id}.imagepackage"
    file.write_bytes(package)
    assert armillary("image", "add", "-c", catalog, "--image-path", str(file)).code == 0
    return str(image_id)


def test_images_and_rollouts_are_meant_by_their_first_digits(
    armillary: Command, service: RunningService, catalog: str, tmp_path: Path
) -> None:
    image = _image(armillary, catalog, tmp_path)
    _claimed(armillary, service, catalog)
    group = ("-c", catalog, "-p", "Coffee", "-dg", "Production")
    assert armillary("image", "show", "-c", catalog, "-i", image[:8], "--json").json["name"] == image
    assert armillary("image", "show", "-c", catalog, "-i", "0000").err.startswith("error: there is no image whose id")
    made = armillary("rollout", "create", *group, "-i", image[:8].upper(), "--json").json
    short = made["rollout_id"][:8]
    assert armillary("rollout", "halt", "-r", short, "--json").json["rollout_id"] == made["rollout_id"]
    assert armillary("rollout", "cancel", "-r", short).code == 0
    assert armillary("rollout", "show", "-r", "ffff0000").err.startswith("error: there is no rollout whose id")
    put = armillary("deployment", "create", *group, "-i", image[:8], "--json")
    assert put.code == 0, put.err


def _claimed(armillary: Command, service: RunningService, catalog: str, group: str = "Production") -> Any:
    device = service.make_device()
    ran = armillary("device", "claim", "-c", catalog, "-p", "Coffee", "-dg", group, "--device", device.device_id)
    assert (ran.code, ran.err) == (0, "1 device is claimed\n")
    return device


def test_catalogs_are_made_listed_shown_and_deleted(armillary: Command) -> None:
    name = f"Golden-{uuid.uuid4().hex[:6]}"
    made = armillary("catalog", "create", "--name", name, "--tags", "site=lab", "--tags", "owner=me")
    identity = armillary("catalog", "show", "-c", name, "--json").json["properties"]["tenantId"]
    assert made.out == f"name      {name}\ntenantId  {identity}\ntags      owner=me, site=lab\n"
    assert armillary("catalog", "show", "--catalog", name).out == made.out.replace("\n", "\n") + "devices   0\n"
    listed = armillary("catalog", "list").out.splitlines()
    assert listed[0].split() == ["name", "tenantId", "tags"]
    assert any(line.startswith(f"{name} ") and line.endswith("owner=me, site=lab") for line in listed)
    assert name in [item["name"] for item in armillary("catalog", "list", "-g", "default", "--json").json]
    assert armillary("catalog", "list", "-g", "elsewhere", "--json").json == []
    ran = armillary("catalog", "list", "-g", "elsewhere")
    assert (ran.out, ran.err) == ("", "No catalog. Make one: armillary catalog create --catalog NAME\n")
    deleted = armillary("catalog", "delete", "-c", name, "--yes")
    assert (deleted.code, deleted.out, deleted.err) == (0, "", f"catalog {name} is deleted\n")


def test_deleting_asks_first(armillary: Command, catalog: str) -> None:
    ran = armillary("catalog", "delete", "-c", catalog, stdin="n\n")
    assert ran.code == 1
    assert "with its products, images and certificate authority? [y/N]" in ran.err
    assert armillary("catalog", "show", "-c", catalog).code == 0


def test_products(armillary: Command, catalog: str) -> None:
    assert armillary("product", "list", "-c", catalog).out == "name    description\nCoffee  makes coffee\n"
    changed = armillary("product", "update", "-c", catalog, "-p", "Coffee", "--description", "makes tea")
    assert changed.out == "name         Coffee\ndescription  makes tea\n"
    assert armillary("product", "show", "-c", catalog, "--product", "Coffee").out == (
        "name         Coffee\ndescription  makes tea\ndevices      0\nsupport_ends      -\nplaced_on_market  -\n"
        "manufacturer      -\ncontact           -\nintended_use      -\n"
    )
    assert armillary("product", "delete", "-c", catalog, "-p", "Coffee", "-y").err == "product Coffee is deleted\n"
    assert armillary("product", "list", "-c", catalog, "--json").json == []


def test_device_groups(armillary: Command, catalog: str) -> None:
    made = armillary(
        "device-group", "create", "-c", catalog, "-p", "Coffee", "-dg", "Pilot", "--os-feed", "RetailEval",
        "--update-policy", "SystemUpdatesOnly", "--allow-crash-dumps-collection", "Enabled",
        "--regional-data-boundary", "None", "--description", "the first ten",
    )  # fmt: skip
    assert made.out == (
        "product                    Coffee\n"
        "name                       Pilot\n"
        "description                the first ten\n"
        "osFeedType                 RetailEval\n"
        "updatePolicy               No3rdPartyAppUpdates\n"
        "allowCrashDumpsCollection  Enabled\n"
        "regionalDataBoundary       None\n"
        "hasDeployment              -\n"
        "provisioningState          Succeeded\n"
    )
    assert armillary("device-group", "list", "-c", catalog, "-p", "Coffee").out == (
        "product  name                      updatePolicy          osFeedType  hasDeployment  description\n"
        "Coffee   Development               No3rdPartyAppUpdates  Retail      no             Default development device group\n"
        "Coffee   Field Test                UpdateAll             Retail      no             Default test device group\n"
        "Coffee   Field Test OS Evaluation  UpdateAll             RetailEval  no             "
        "Default test device group with the evaluation OS feed\n"
        "Coffee   Pilot                     No3rdPartyAppUpdates  RetailEval  no             the first ten\n"
        "Coffee   Production                UpdateAll             Retail      no             Default production device group\n"
        "Coffee   Production OS Evaluation  UpdateAll             RetailEval  no             "
        "Default production device group with the evaluation OS feed\n"
    )
    assert len(armillary("device-group", "list", "-c", catalog, "--json").json) == 6
    changed = armillary(
        "device-group", "update", "-c", catalog, "-p", "Coffee", "-dg", "Pilot", "-a", "UpdateAll", "--json"
    )
    assert changed.json["properties"]["updatePolicy"] == "UpdateAll"
    assert (
        "devices                    0"
        in armillary("device-group", "show", "-c", catalog, "-p", "Coffee", "-dg", "Pilot").out
    )
    assert armillary("device-group", "delete", "-c", catalog, "-p", "Coffee", "-dg", "Pilot", "-y").code == 0


def test_devices_are_claimed_moved_shown_and_counted(armillary: Command, service: RunningService, catalog: str) -> None:
    device = _claimed(armillary, service, catalog)
    with device:
        device.check_in()
    shown = armillary("device", "show", "--device", device.device_id)
    facts = dict(line.split(None, 1) for line in shown.out.splitlines() if line)
    assert (facts["health"], facts["trust_tier"], facts["group"]) == ("attested", "software", "Production")
    assert facts["last_check_in_at"].endswith("Z")
    assert "(1)" in shown.out
    assert "pass" in shown.out
    listed = armillary("device", "list", "-c", catalog, "--health", "attested").out.splitlines()
    columns = "name device_id health trust_tier chip catalog product group os_version"
    assert " ".join(listed[0].split()) == columns
    assert listed[1].split()[:3] == ["Coffee", device.device_id[:8], device.device_id[:12]]
    counted = armillary("device", "show-count", "-c", catalog, "-p", "Coffee", "-dg", "Production")
    assert counted.out == "devices  1\n"
    moved = armillary(
        "device", "assign", "-c", catalog, "-d", device.device_id, "--target-product", "Coffee",
        "--target-device-group", "Field Test",
    )  # fmt: skip
    assert (moved.code, moved.err) == (0, "the device is in Coffee / Field Test\n")
    assert armillary("device", "show", "-d", device.device_id, "--json").json["group"] == "Field Test"
    unassigned = armillary("device", "unassign", "-c", catalog, "-d", device.device_id)
    assert unassigned.err == "the device is in no device group\n"
    assert armillary("device", "check-ins", "-d", device.device_id).out.splitlines()[0].split()[:2] == ["at", "verdict"]


def test_development_and_back(armillary: Command, service: RunningService, catalog: str, tmp_path: Path) -> None:
    device = _claimed(armillary, service, catalog)
    file = tmp_path / "dev.cap"
    known = ("-c", catalog, "-d", device.device_id)
    assert armillary("device", "enable-development", *known, "--output-file", str(file)).code == 0
    assert capability_file.parse(file.read_bytes()).device_id == device.device_id
    assert armillary("device", "show", "-d", device.device_id, "--json").json["group"] == "Development"
    assert armillary("device", "enable-cloud-test", *known).code == 0
    assert armillary("device", "show", "-d", device.device_id, "--json").json["group"] == "Field Test"
    servicing = tmp_path / "field.cap"
    arguments = ("--type", "FieldServicing", "--output-file", str(servicing))
    assert armillary("device", "capability", "download", *known, *arguments).code == 0
    assert servicing.read_bytes() != file.read_bytes()


def test_images_and_deployments(armillary: Command, service: RunningService, catalog: str, tmp_path: Path) -> None:
    device = _claimed(armillary, service, catalog)
    image = _image(armillary, catalog, tmp_path)
    listed = armillary("image", "list", "-c", catalog).out.splitlines()
    assert listed[0].split() == ["imageName", "version", "imageType", "imageId", "componentId"]
    assert listed[1].split()[:4] == ["Blink", "unknown", "Applications", image[:8]]
    assert armillary("image", "show", "-c", catalog, "-i", image, "--json").json["properties"]["image"] == "Blink"
    place = ("-c", catalog, "-p", "Coffee", "-dg", "Production")
    made = armillary("deployment", "create", *place, "--images", image)
    assert [line.split()[0] for line in made.out.splitlines()] == ["deploymentId", "deploymentDateUtc", "images"]
    assert made.out.splitlines()[2].split() == ["images", "Blink"]
    current = armillary("deployment", "show", *place, "--json").json
    assert current["name"] == made.out.split()[1]
    assert [item["name"] for item in armillary("deployment", "list", *place, "--json").json] == [current["name"]]
    short = armillary("deployment", "list", *place).out.splitlines()[1].split()[0]
    assert short == current["name"][:8]
    assert armillary("deployment", "show", *place, "--deployment", short, "--json").json["name"] == current["name"]
    assert "no deployment whose id begins" in armillary("deployment", "show", *place, "--deployment", "0000f").err
    state = armillary("device", "show-deployment-status", "-d", device.device_id)
    assert state.out.splitlines()[0].split() == ["status", "unknown"]
    targeted = armillary("device", "image", "list-targeted", "-d", device.device_id)
    assert [line.split()[:3] for line in targeted.out.splitlines()] == [
        ["name", "image_id", "installed"],
        ["Blink", image, "no"],
    ]
    nobody = armillary("device", "image", "list-targeted", "-d", "00000000000f")
    assert nobody.code == 1
    refused = armillary("image", "delete", "-c", catalog, "-i", image, "-y")
    assert refused.code == 1
    assert refused.err == (
        f"error: image {image} is part of a deployment [request.conflict]\n\n"
        "hint: Delete the deployments that name it first.\n"
    )


def test_certificates_are_downloaded(armillary: Command, catalog: str, tmp_path: Path) -> None:
    listed = armillary("ca-certificate", "list", "-c", catalog, "--json").json
    assert [item["properties"]["status"] for item in listed] == ["Active"]
    pem, der, chain, proof = (tmp_path / name for name in ("ca.pem", "ca.cer", "ca.p7b", "proof.cer"))
    for file in (pem, der):
        assert armillary("ca-certificate", "download", "-c", catalog, "--output-file", str(file)).code == 0
    authority = x509.load_pem_x509_certificate(pem.read_bytes())
    assert x509.load_der_x509_certificate(der.read_bytes()) == authority
    assert armillary("ca-certificate", "download-chain", "-c", catalog, "--output-file", str(chain)).code == 0
    assert authority in pkcs7.load_der_pkcs7_certificates(chain.read_bytes())
    bundle, lists, one = (tmp_path / name for name in ("chain.pem", "crl.pem", "one.crl"))
    assert armillary("ca-certificate", "download-chain", "-c", catalog, "--output-file", str(bundle)).code == 0
    chain_of_all = x509.load_pem_x509_certificates(bundle.read_bytes())
    assert authority in chain_of_all
    assert armillary("ca-certificate", "crl", "-c", catalog, "--output-file", str(lists)).code == 0
    assert lists.read_text().count("BEGIN X509 CRL") == len(chain_of_all)
    serial = f"{chain_of_all[0].serial_number:034x}"
    command = ("ca-certificate", "crl", "-c", catalog, "--authority", serial, "--output-file")
    assert armillary(*command, str(one)).err == f"1 revocation list written to {one}\n"
    assert x509.load_der_x509_crl(one.read_bytes()).is_signature_valid(chain_of_all[0].public_key())
    assert "[request.not-found]" in armillary(*command[:-3], "--authority", "00", "--output-file", str(one)).err
    arguments = ("--verification-code", "0A0B", "--output-file", str(proof))
    assert armillary("ca-certificate", "download-proof", "-c", catalog, *arguments).code == 0
    x509.load_der_x509_certificate(proof.read_bytes()).verify_directly_issued_by(authority)
    assert armillary("ca-certificate", "download", "-c", catalog, "--output-file", "/nowhere/x").code == 1


def test_an_error_report_file_is_safe_to_open(
    armillary: Command, service: RunningService, catalog: str, tmp_path: Path
) -> None:
    device = _claimed(armillary, service, catalog)
    with device:
        device.check_in(error_reports=(crash(description="=HYPERLINK(x)", component_id=None, image_id=None),))
    file = tmp_path / "report.csv"
    ran = armillary("catalog", "download-error-report", "-c", catalog, "--output-file", str(file))
    assert ran.err == "1 error report\n"
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [(row["Device ID"], row["Event Type"], row["Event Count"]) for row in rows] == [
        (device.device_id, "AppCrash", "1")
    ]
    assert rows[0]["Description"] == "'=HYPERLINK(x)"


def test_rollouts(armillary: Command, service: RunningService, catalog: str, tmp_path: Path) -> None:
    _claimed(armillary, service, catalog)
    image = _image(armillary, catalog, tmp_path)
    made = armillary(
        "rollout", "create", "-c", catalog, "-p", "Coffee", "-dg", "Production", "--images", image, "--cohorts", "10,100",
        "--soak", "0", "--roll-back-on-hold",
    )  # fmt: skip
    facts = dict(line.split(None, 1) for line in made.out.split("\n\n")[0].splitlines())
    assert (facts["state"], facts["group"], facts["cohort"].split()[-1]) == ("running", "Production", "2")
    rollout = facts["rollout_id"]
    held = armillary("rollout", "halt", "-r", rollout, "--reason", "look first", "--json").json
    assert (held["state"], held["reason"], held["policy"]["roll_back_on_hold"]) == ("held", "look first", True)
    listed = armillary("rollout", "list", "-c", catalog).out.splitlines()
    assert listed[1].split()[:2] == [rollout[:8], "held"]
    assert armillary("rollout", "resume", "-r", rollout, "--json").json["state"] == "running"
    wait_until(lambda: armillary("rollout", "devices", "-r", rollout, "--json").json, "a device to be started")
    assert armillary("rollout", "roll-back", "-r", rollout, "-y").code == 0
    shown = armillary("rollout", "show", "-r", rollout).out
    assert shown.split()[3] in ("rolling-back", "rolled-back")
    told = [one.split() for one in shown.splitlines() if "look first" in one or "roll-back " in one or "resume" in one]
    assert [words[words.index("hold") : words.index("hold") + 1] for words in told if "hold" in words] == [["hold"]]
    assert "look first" in shown, "why it was halted is still there"
    wrong = armillary(
        "rollout", "create", "-c", catalog, "-p", "Coffee", "-dg", "Production", "-i", image, "--cohorts", "ten"
    )
    assert wrong.err.startswith("error: --cohorts: expected percentages such as 1,10,100, got 'ten' [request.invalid]")


def test_findings(armillary: Command, service: RunningService, catalog: str) -> None:
    device = _claimed(armillary, service, catalog)
    with device:
        body = device.request_body()
        device.exchange("POST", "/v1/check-in", body)
        device.exchange("POST", "/v1/check-in", body)
    query = ("finding", "list", "-d", device.device_id, "--json")
    found = wait_until(lambda: armillary(*query).json, "the watch to see the replay")[0]
    short = armillary("finding", "list", "-d", device.device_id).out.splitlines()[1].split()[0]
    assert short == found["finding_id"][:8]
    shown = armillary("finding", "show", "-f", short).out
    assert "proof-replayed" in shown
    assert "proposed_action" in shown
    kinds = armillary("finding", "kinds", "--json").json
    assert [each["findings"] for each in kinds if each["kind"] == "proof-replayed"] == [1]
    neither = armillary("finding", "acknowledge")
    assert neither.err.startswith("error: expected --finding or --kind [request.invalid]")
    together = ("finding", "acknowledge", "--kind", "proof-replayed", "-c", catalog, "--json")
    assert [armillary(*together).json["acknowledged"] for _ in range(2)] == [1, 0]
    assert armillary("finding", "acknowledge", "-f", found["finding_id"], "--json").json["status"] == "acknowledged"
    assert armillary("finding", "close", "-f", found["finding_id"]).code == 0
    again = armillary("finding", "close", "-f", found["finding_id"])
    assert (again.code, again.err.splitlines()[0]) == (1, "error: the finding is closed [request.conflict]")
    assert armillary(*query).json == []
    assert len(armillary(*query, "--status", "all").json) == 1


def test_releases_and_floors(armillary: Command) -> None:
    version = fresh_os_version()
    made = armillary("release", "publish", "--chip", "imx8mp", "--os-version", version, "--json").json
    listed = armillary("release", "list", "--chip", "imx8mp").out.splitlines()
    assert listed[1].split()[:4] == [made["release_id"], "imx8mp", version, "Retail"]
    shown = armillary("release", "show", "--release", made["release_id"]).out
    assert all(part["digest"] in shown for part in made["components"])
    kind = str(made["components"][0]["image_type"])
    floor = armillary(
        "release", "raise-floor", "--chip", "imx8mp", "--image-type", kind, "--minimum", "1", "-y", "--json"
    )
    assert floor.json["minimum"] == 1
    assert [item["image_type"] for item in armillary("release", "list-floors", "--json").json] == [int(kind)]


def test_audit_and_tokens(armillary: Command, service: RunningService) -> None:
    made = armillary("token", "create", "--name", "ci", "--role", "Reader", "--days", "1")
    secret = made.out.split()[1]
    assert made.out == f"token  {secret}\nname   ci\nrole   Reader\n"
    assert made.err == "keep it now: the service cannot show it again\n"
    newest = armillary("audit", "list", "--limit", "1", "--json")
    assert (newest.json[0]["operation"], newest.json[0]["actor"]) == ("token.create", "first-start")
    listed = armillary("token", "list")
    assert secret not in listed.out
    mine = next(line for line in listed.out.splitlines() if line.split()[1] == "ci")
    refused = armillary("catalog", "create", "-c", "NotMine", "--token", secret)
    assert (refused.code, refused.err.splitlines()[0].rsplit(" ", 1)[1]) == (1, "[request.forbidden]")
    assert armillary("token", "revoke", "--token-id", mine.split()[0]).code == 0
    refused = armillary("catalog", "list", "--token", secret)
    assert refused.err == (
        "error: the token is not valid [request.unauthenticated]\n"
        "\nhint: Send a valid operator token: Authorization: Bearer TOKEN.\n"
    )
    of_token = armillary("audit", "list", "--target", newest.json[0]["target"], "--json").json
    assert [line["operation"] for line in of_token] == ["token.revoke", "token.create"]
    nothing = armillary("audit", "list", "--target", "nobody")
    assert (nothing.out, nothing.err) == ("", "The audit log has no such line.\n")
    verified = armillary("audit", "verify", "--json").json
    assert verified["broken_at"] is None


def test_twins_and_methods_of_a_device_that_is_away(
    armillary: Command, service: RunningService, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = _claimed(armillary, service, catalog)
    patched = armillary(
        "device", "twin", "update", "-d", device.device_id, "--desired", '{"strength": 3}', "--json"
    ).json
    assert patched["properties"]["desired"]["strength"] == 3
    assert armillary("device", "twin", "show", "-d", device.device_id, "--json").json == patched
    assert armillary("device", "twin", "show", "-d", device.device_id).out.splitlines()[-2:] == [
        "property  desired  reported",
        "strength  3        -",
    ]
    assert armillary("device", "twin", "update", "-d", device.device_id, "--desired", "{").code == 2
    ran = armillary("device", "telemetry", "-d", device.device_id)
    assert (ran.out, ran.err) == ("", "The device has sent no telemetry yet.\n")
    call = ("device", "invoke", "-d", device.device_id, "--method", "brew")
    away = armillary(*call, "--connect-timeout", "0")
    assert (away.code, away.err.splitlines()[0].rsplit(" ", 1)[1]) == (1, "[request.device-offline]")
    invoke = AsyncMock(return_value=MethodResult(200, None))
    monkeypatch.setattr(type(service.hub.operations), "invoke_method", invoke)
    assert armillary(*call).code == 0
    assert invoke.call_args.kwargs == {"connect_timeout_s": 10}  # who types may be a moment before the device


def test_release_of_a_device_that_is_held(armillary: Command, service: RunningService, catalog: str) -> None:
    device = replace(_claimed(armillary, service, catalog), lineage=b"")
    ran = armillary("device", "release", "-d", device.device_id, "--yes")
    assert (ran.code, "is not held" in ran.err) == (1, True)
    with device:
        for _ in range(2):
            assert device.check_in().verdict == "attested"
        device.lineage, device.challenge = b"", b""
        assert device.check_in().verdict == "update-only"
    assert armillary("device", "release", "-d", device.device_id, "--yes", "--json").json["held_at"] is None


def test_revoke_and_restore(armillary: Command, service: RunningService, catalog: str) -> None:
    device = _claimed(armillary, service, catalog)
    ran = armillary("device", "revoke", "-d", device.device_id, "--reason", "stolen", "--yes")
    assert ran.out == f"device_id  {device.device_id}\nhealth     revoked\n"
    assert armillary("device", "restore", "-d", device.device_id).out.split()[-1] == "never"


def test_status(armillary: Command, service: RunningService) -> None:
    wait_until(lambda: armillary("status").code == 0, "the service to be well")
    found = armillary("status")
    lines = dict(line.split(None, 1) for line in found.out.splitlines() if line)
    assert (lines["service"], lines["status"]) == (service.address, "ok")
    assert armillary("status", "--json").json["checks"][0]["name"] == "records"


def test_a_device_without_a_catalog_says_how_to_get_one(
    armillary: Command, service: RunningService, catalog: str
) -> None:
    device = service.make_device()
    ran = armillary("device", "assign", "-c", catalog, "-d", device.device_id, "-p", "Coffee", "-dg", "Production")
    assert ran.code == 1
    assert ran.err == (
        f"error: device {device.device_id[:12]}... is not claimed [request.invalid]\n\n"
        "hint: Claim it first: armillary device claim, or name its catalog.\n"
    )


def test_the_only_catalog_needs_no_name(armillary: Command, catalog: str, monkeypatch: pytest.MonkeyPatch) -> None:
    armillary("catalog", "create", "-c", f"Second-{catalog}")
    ran = armillary("product", "list")
    assert ran.code == 1
    assert ran.err.startswith("error: --catalog is needed: there are ")
    assert "armillary context use --catalog" in ran.err
    monkeypatch.setenv("ARMILLARY_CATALOG", catalog)
    assert armillary("product", "list").out == "name    description\nCoffee  makes coffee\n"


def test_a_catalog_is_chosen_once_for_all_commands(bare: Command, service: RunningService, catalog: str) -> None:
    login = ("login", "--service", service.address, "--token", service.token, "--ca", str(service.root))
    assert bare(*login).code == 0
    assert "does not exist" in bare("catalog", "use", "--catalog", "Nobody").err
    used = bare("catalog", "use", "--catalog", catalog.upper())
    assert (used.code, used.err) == (0, f"commands that name no catalog mean {catalog} from now on\n")
    bare("catalog", "create", "-c", f"Third-{catalog}")
    assert bare("product", "list").out == "name    description\nCoffee  makes coffee\n"
    assert bare("product", "list", "-c", f"Third-{catalog}").out == ""


def test_a_catalog_is_remembered_beside_a_login_only(armillary: Command, catalog: str) -> None:
    ran = armillary("catalog", "use", "--catalog", catalog)
    assert ran.code == 1
    assert "no login to https://" in ran.err


def test_usage_errors_exit_with_2(armillary: Command, catalog: str) -> None:
    for arguments in (
        ("device-group", "create", "-c", catalog, "-p", "Coffee", "-dg", "X", "--update-policy", "Sometimes"),
        ("product", "create"),
        ("rollout", "paint"),
        ("device", "claim", "-c", catalog, "-d", "0" * 128, "-p", "Coffee"),
        ("device", "show-count", "-c", catalog, "-dg", "Production"),
    ):
        assert armillary(*arguments).code == 2, arguments


def test_ids_that_do_not_exist(armillary: Command, catalog: str) -> None:
    absent = str(uuid.uuid4())
    for arguments in (
        ("catalog", "show", "-c", "Absent"),
        ("image", "show", "-c", catalog, "-i", absent),
        ("rollout", "show", "-r", absent),
        ("finding", "show", "-f", absent),
        ("release", "show", "--release", absent),
        ("device", "show", "-d", "0" * 128),
        ("token", "revoke", "--token-id", absent),
    ):
        ran = armillary(*arguments)
        assert (ran.code, ran.out) == (1, ""), arguments
        assert "[request.not-found]" in ran.err
        assert "\nhint: " in ran.err


def test_an_empty_name_is_refused_in_words(armillary: Command) -> None:
    for command in (("device", "check-now", "--device", ""), ("feed", "delete", "", "--yes")):
        refused = armillary(*command)
        assert (refused.code, "expected a name, got ''" in refused.err) == (1, True), refused.err
