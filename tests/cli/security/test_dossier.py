# SPDX-License-Identifier: Apache-2.0
"""A dossier from the command line to a file, and verified there without the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, application, own_service
from tests.cli.conftest import Command
from tests.service.advisories.fleet import KEY, bill, bundle, osv, pem_of

from armillary.wire.dossier import archive

service = own_service()
NAME = "PYSEC-2026-1"


def test_a_dossier_is_made_and_verified_offline(
    armillary: Command, bare: Command, service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.make_catalog("Contoso", product="Coffee")
    file = str(tmp_path / "contoso.dossier.zip")
    made = armillary("dossier", "create", "-c", "Contoso", "--output-file", file, "--json").json
    assert (made["catalog"], made["file"]) == ("Contoso", file)
    key = armillary("dossier", "key", "--json").json["verifier_key"]
    (tmp_path / "key").write_text(key + "\n")
    logs = {each["log"]: each["verifier_key"] for each in armillary("audit", "logs", "--json").json}
    listed = armillary("dossier", "list", "--json").json
    assert [each["dossier_id"] for each in listed] == [made["dossier_id"]]
    again = str(tmp_path / "again.zip")
    armillary("dossier", "get", made["dossier_id"], "--output-file", again)
    assert Path(again).read_bytes() == Path(file).read_bytes()

    monkeypatch.delenv("ARMILLARY_SERVICE")
    monkeypatch.delenv("ARMILLARY_TOKEN")
    verified = bare("dossier", "verify", file, "--key", str(tmp_path / "key"), "--audit-key", logs["audit"], "--json")
    assert verified.json["statements"] == made["states"]
    assert verified.json["proved_entries"]["audit"] >= 1
    shown = bare("dossier", "show", file, "--key", key, "--state", "absent")
    assert shown.code == 0
    assert "bill of materials" in shown.out
    unverified = bare("dossier", "show", file)
    assert "Not verified" in unverified.err
    parts = archive.parse(Path(file).read_bytes())
    (tmp_path / "hostile.zip").write_bytes(archive.encode({**parts, "dossier.json": b"{}\n"}))
    hostile = bare("dossier", "show", str(tmp_path / "hostile.zip"))
    assert (hostile.code, "expected the members of a dossier" in hostile.err) == (1, True), hostile.err

    changed = bytearray(Path(file).read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "changed.zip").write_bytes(changed)
    for arguments, said in (
        ((str(tmp_path / "changed.zip"), "--key", key), "expected"),
        ((file,), "none was given"),
        ((file, "--key", logs["audit"]), "a signature of"),
        ((file, "--key", key, "--audit-key", logs["releases"]), "another key than the one you kept"),
        ((str(tmp_path / "key"), "--key", key), "ZIP"),
        ((str(tmp_path / "none"), "--key", key), "cannot be read"),
    ):
        answer = bare("dossier", "verify", *arguments)
        assert (answer.code, said in answer.err) == (1, True), (arguments, answer.err)


def test_vex_is_written_for_customers(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    service.make_catalog("Fabrikam", product="Pump")
    file = str(tmp_path / "vex.json")
    nothing = armillary("dossier", "vex", "-c", "Fabrikam", "--output-file", file)
    assert (nothing.code, "no advisory" in nothing.err) == (1, True)
    image_id, package = application("Tap")
    whole = service.service
    whole.updates.images.upload("Fabrikam", package, actor="t")
    whole.updates.bills.put_of_image("Fabrikam", image_id, bill("pkg:pypi/django@3.2.10"), actor="t")
    whole.advisories.keys.trust("packer", pem_of(KEY), actor="t")
    (tmp_path / "bundle").write_bytes(bundle([osv(NAME)], as_of=whole.context.now()))
    whole.advisories.import_bundle(tmp_path / "bundle", actor="t")
    for form in ("openvex", "cyclonedx", "csaf"):
        done = armillary("dossier", "vex", "-c", "Fabrikam", "--format", form, "--output-file", file)
        assert done.code == 0, done.err
        assert NAME in json.dumps(json.loads(Path(file).read_text()))
