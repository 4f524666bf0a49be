# SPDX-License-Identifier: Apache-2.0
"""Hub devices, enrolments, service keys and files as people type them."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command
from tests.fixtures.certificates import self_signed


def test_admission_is_off_until_it_is_on(armillary: Command, catalog: str) -> None:
    show = ("hub-device", "admission", "-c", catalog, "--json")
    assert armillary(*show).json["symmetric_keys"] is False
    on = armillary(*show, "--symmetric-keys", "on").json
    assert (on["symmetric_keys"], on["certificates"]) == (True, False)
    assert armillary(*show, "--symmetric-keys", "off", "--certificates", "on").json["certificates"] is True


def test_a_device_with_keys_and_one_with_a_certificate(armillary: Command, catalog: str, tmp_path: Path) -> None:
    name, other = f"d-{uuid.uuid4().hex[:8]}", f"p-{uuid.uuid4().hex[:8]}"
    made = armillary("hub-device", "create", "-d", name, "-c", catalog)
    assert made.code == 0, made.err
    assert f"DeviceId={name}" in made.out
    assert "unattested" in made.out
    assert "this once" in made.err
    path, _, _ = self_signed(tmp_path, other)
    certificate = ("--certificate", str(path))
    assert armillary("hub-device", "create", "-d", other, "-c", catalog, *certificate, "--json").json[
        "certificate_known"
    ]
    listed = armillary("hub-device", "list", "-c", catalog, "--json").json
    assert {each["device_id"] for each in listed} == {name, other}
    assert name in armillary("hub-device", "list", "-c", catalog).out
    changed = armillary("hub-device", "update", "-d", name, "--enabled", "off", "--reason", "lost", "--json").json
    assert (changed["enabled"], changed["status_reason"]) == (False, "lost")
    assert "primary_key" in armillary("hub-device", "update", "-d", name, "--new-keys", "--json").json
    refused = armillary("hub-device", "update", "-d", other, "--new-keys")
    assert (refused.code, "selfSigned" in refused.err) == (1, True)
    assert armillary("hub-device", "module", "create", "-d", name, "-m", "edge").code == 0
    assert "edge" in armillary("hub-device", "module", "list", "-d", name).out
    assert "modules: edge" in armillary("hub-device", "show", "-d", name).err
    assert armillary("hub-device", "module", "delete", "-d", name, "-m", "edge", "--yes").code == 0
    assert armillary("hub-device", "show", "-d", name, "--json").json["modules"] == []
    for each in (name, other):
        assert armillary("hub-device", "delete", "-d", each, "--yes").code == 0
    gone = armillary("hub-device", "show", "-d", name)
    assert (gone.code, "hint:" in gone.err) == (1, True)


def test_enrolments(armillary: Command, catalog: str, tmp_path: Path) -> None:
    made = armillary(
        "hub-enrolment", "create", "--name", "line-3", "--group", "-c", catalog, "--twin", '{"tags": {"a": 1}}'
    )
    assert made.code == 0, made.err
    assert "primary_key" in made.out
    path, _, authority = self_signed(tmp_path, f"Factory {uuid.uuid4().hex}", authority=True)
    options = ("--name", "factory", "--group", "--certificate", str(path), "-c", catalog)
    group = armillary("hub-enrolment", "create", *options, "--json").json
    proof, _, _ = self_signed(tmp_path, group["possession_nonce"], issuer=authority)
    one = ("--id", group["enrolment_id"], "-c", catalog)
    assert armillary("hub-enrolment", "verify", *one, "--certificate", str(proof), "--json").json["verified"] is True
    listed = armillary("hub-enrolment", "list", "-c", catalog)
    assert "id scope: 0ne" in listed.err
    assert "line-3" in listed.out
    assert armillary("hub-enrolment", "list", "-c", catalog, "--json").json["items"][1]["initial_twin"] == {
        "tags": {"a": 1}
    }
    assert "Nothing has registered" in armillary("hub-enrolment", "registrations", *one).err
    assert armillary("hub-enrolment", "disable", *one).code == 0
    assert armillary("hub-enrolment", "enable", *one).code == 0
    assert armillary("hub-enrolment", "delete", *one, "--yes").code == 0
    assert armillary("hub-enrolment", "create", "--name", "x", "--twin", "{", "-c", catalog).code == 2


def test_service_keys(armillary: Command, catalog: str) -> None:
    made = armillary("hub-service-key", "create", "--name", "dashboards", "--role", "Reader", "-c", catalog)
    assert made.code == 0, made.err
    assert "SharedAccessKeyName=dashboards" in made.out
    assert "dashboards" in armillary("hub-service-key", "list", "-c", catalog).out
    again = armillary("hub-service-key", "create", "--name", "dashboards", "--role", "Reader", "-c", catalog)
    assert (again.code, "hint:" in again.err) == (1, True)
    assert armillary("hub-service-key", "delete", "--name", "dashboards", "-c", catalog, "--yes").code == 0
    assert armillary("hub-service-key", "list", "-c", catalog, "--json").json == []


def test_files(armillary: Command, service: RunningService, catalog: str, tmp_path: Path) -> None:
    name = f"d-{uuid.uuid4().hex[:8]}"
    assert armillary("hub-device", "create", "-d", name, "-c", catalog).code == 0
    files = service.hub.files
    upload, _ = files.begin(name, "log.txt")
    with files.part(upload, None) as part:
        part.write(b"hello")
        files.finish(upload, "text/plain", part)
    (found,) = armillary("device", "file", "list", "-d", name, "--json").json
    assert (found["name"], found["size"], found["state"]) == ("log.txt", 5, "stored")
    one = ("-d", name, "--id", found["upload_id"])
    assert armillary("device", "file", "download", *one, "-o", str(tmp_path / "log")).code == 0
    assert (tmp_path / "log").read_bytes() == b"hello"
    assert armillary("device", "file", "download", *one, "-o", str(tmp_path / "no" / "log")).code == 1
    assert armillary("device", "file", "delete", *one, "--yes").code == 0
    assert "none" in armillary("device", "file", "list", "-d", name).err
