# SPDX-License-Identifier: Apache-2.0
"""``armillary application`` and its routes: out to a folder and a zip file, in with a plan; what is hostile is refused."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, own_service
from tests.cli.conftest import Command

from armillary.wire.export.application_archive import MANIFEST, pack_zip, unpack_zip

service = own_service()  # its application is this module's alone


@pytest.fixture
def filled(service: RunningService) -> str:
    name = f"a-{uuid.uuid4().hex[:8]}"
    store = service.platform.documents
    store.put("group", name, {"name": "One", "catalog": None}, by="t")
    action = {"kind": "set-property", "properties": {"a": 1}}
    store.put("job", name, {"name": "Job", "group": name, "action": action}, by="t")
    return name


def changes(service: RunningService, files: dict[str, Any], **more: Any) -> Any:
    body = {"manifest": {"format": 1, "kinds": {}}, "files": files, **more}
    return service.call("POST", "/api/v1/application/import", body)


def test_out_and_in_again(armillary: Command, service: RunningService, filled: str, tmp_path: Path) -> None:
    folder, packed = tmp_path / "application", tmp_path / "application.zip"
    assert armillary("application", "export", str(folder)).code == 0
    assert armillary("application", "export", str(packed)).code == 0
    assert json.loads((folder / MANIFEST).read_text())["kinds"]["group"] == 1
    assert json.loads((folder / "group" / f"{filled}.json").read_text()) == {"name": "One", "catalog": None}
    inside = unpack_zip(packed.read_bytes())
    assert {path: (folder / path).read_bytes() for path in inside} == inside
    same = armillary("application", "import", str(folder), "--yes")
    assert (same.code, "Everything is there already" in same.err) == (0, True)
    store = service.platform.documents
    store.put("group", filled, {"name": "Two"}, by="t")
    store.delete("job", filled, by="t")
    plan = armillary("application", "import", str(packed), "--dry-run", "--json")
    assert plan.json["counts"] | {"same": 0} == {"new": 1, "changed": 1, "same": 0, "deleted": 0}
    assert store.get("group", filled).body == {"name": "Two"}  # nothing was done
    done = armillary("application", "import", str(packed), "--yes")
    assert done.code == 0, done.err
    assert "1 are new, 1 changed" in done.err
    assert store.get("group", filled).content["name"] == "One"
    assert store.get("job", filled).content["group"] == filled
    assert service.call("GET", "/api/v1/audit?limit=1").body["items"][0]["operation"] == "application.import"


def test_a_folder_is_kept_in_step_and_nothing_else_in_it_is_touched(
    armillary: Command, service: RunningService, filled: str, tmp_path: Path
) -> None:
    folder = tmp_path / "application"
    armillary("application", "export", str(folder))
    (folder / "README.md").write_text("ours")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.json").write_text("{")
    service.platform.documents.delete("job", filled, by="t")
    assert armillary("application", "export", str(folder)).code == 0
    assert not (folder / "job" / f"{filled}.json").exists()
    assert (folder / "README.md").read_text() == "ours"
    assert armillary("application", "import", str(folder), "--yes").code == 0
    other = tmp_path / "other"
    (other / "notes").mkdir(parents=True)
    (other / "notes" / "a.json").write_text("{}")
    refused = armillary("application", "export", str(other))
    assert (refused.code, "empty folder" in refused.err) == (1, True)
    assert "application.json" in armillary("application", "import", str(other)).err


def test_replace_deletes_what_is_not_named(
    armillary: Command, service: RunningService, filled: str, tmp_path: Path
) -> None:
    folder = tmp_path / "application"
    armillary("application", "export", str(folder))
    extra = f"b-{uuid.uuid4().hex[:8]}"
    service.platform.documents.put("group", extra, {"name": "Extra"}, by="t")
    assert armillary("application", "import", str(folder), "--yes").code == 0
    assert service.platform.documents.find("group", extra) is not None
    listed = armillary("application", "import", str(folder), "--replace", "group", "--dry-run").out
    assert f"deleted  group  {extra}" in listed
    assert armillary("application", "import", str(folder), "--replace", "group", "--yes").code == 0
    assert service.platform.documents.find("group", extra) is None


def test_links_in_a_folder_are_neither_followed_nor_written_through(
    armillary: Command, service: RunningService, filled: str, tmp_path: Path
) -> None:
    folder, secret = tmp_path / "application", tmp_path / "secret.json"
    secret.write_text('{"name": "secret"}')
    armillary("application", "export", str(folder))
    victim = folder / "group" / f"{filled}.json"
    victim.unlink()
    victim.symlink_to(secret)
    refused = armillary("application", "import", str(folder), "--yes")
    assert (refused.code, "Links are not followed" in refused.err) == (1, True)
    assert armillary("application", "export", str(folder)).code == 1
    assert secret.read_text() == '{"name": "secret"}'
    victim.unlink()
    assert armillary("application", "export", str(folder)).code == 0  # the control
    assert armillary("application", "import", str(folder), "--yes").code == 0


def test_one_bad_file_keeps_everything_out(
    armillary: Command, service: RunningService, filled: str, tmp_path: Path
) -> None:
    good = {"group/new.json": json.dumps({"name": "New"})}
    for path, content, words in (
        ("group/x.json", '{"name": 1}', "group/x.json: group.name"),
        ("job/x.json", '{"name": "x"}', "job/x.json"),
        ("rule/x.json", "{}", "rule/x.json"),
        ("template/x.json", "{}", "template/x.json"),
        ("dashboard/x.json", "{}", "dashboard/x.json"),
        ("device/x.json", '{"secret": 1}', "device/x.json"),
        ("organisation/x.json", "{}", "organisation/x.json"),
        ("organisation/x.json", '{"name": "x", "catalog": "c", "parent": "gone"}', "there is no organisation"),
        ("simulation/x.json", "{}", "nothing of this kind"),
        ("nothing/x.json", "{}", "kind"),
        ("../x.json", "{}", "kind"),
        ("group/../../x.json", "{}", "id"),
        ("group/x.json", "[" * 10_000, "group/x.json"),
        ("group/x.json", '{"name":"a","name":"b"}', "twice"),
    ):
        reply = changes(service, {**good, path: content})
        assert reply.status in (400, 409), (path, reply.body)
        assert words in reply.body["detail"], (path, reply.body)
    assert service.platform.documents.find("group", "new") is None
    assert changes(service, good, manifest={"format": 9, "kinds": {}}).status == 400
    assert changes(service, good, replace=["secrets"]).status == 400
    done = changes(
        service,
        {
            **good,
            "job/j.json": json.dumps({"name": "j", "group": "gone", "action": {"kind": "command", "command": "x"}}),
        },
    )
    assert done.status == 200
    assert done.body["warnings"] == ["job j: there is no segment 'gone'"]


def test_hostile_archives_are_refused_by_the_command(armillary: Command, tmp_path: Path) -> None:
    manifest = {MANIFEST: b'{"format": 1, "kinds": {}}'}
    for name, members in (
        ("out", {"../../etc/cron.d/x": b"x"}),
        ("bomb", {f"group/{number}.json": bytes(2 << 20) for number in range(20)}),
    ):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
            for path, content in {**manifest, **members}.items():
                made.writestr(path, content)
        place = tmp_path / f"{name}.zip"
        place.write_bytes(buffer.getvalue())
        refused = armillary("application", "import", str(place), "--yes")
        assert (refused.code, "application-archive" in refused.err) == (1, True), refused.err
    (tmp_path / "none.zip").write_bytes(pack_zip({"group/a.json": b"{}"}))
    assert "application.json" in armillary("application", "import", str(tmp_path / "none.zip")).err
    (tmp_path / "text.zip").write_bytes(b"PK")
    assert armillary("application", "import", str(tmp_path / "text.zip")).code == 1
    assert armillary("application", "import", str(tmp_path / "absent")).code == 1
