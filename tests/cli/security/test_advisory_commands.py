# SPDX-License-Identifier: Apache-2.0
"""Feeds are packed, trusted and imported, and who is affected is asked, from the command line to the records and back."""

from __future__ import annotations

import gzip
import json
import time
import uuid
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.api.running_service import RunningService, application as packed_application, own_service
from tests.cli.conftest import Command
from tests.service.advisories.fleet import KEY, OTHER_KEY, bill, osv, pem_of

from armillary.cli.security.feed_source import FeedSource, osv_form
from armillary.wire.advisory.osv import read_advisory
from armillary.wire.device.checkin import InstalledImage

service = own_service()  # feeds are the whole service's
NAME, BAD = "PYSEC-2026-1", "pkg:pypi/django@3.2.10"
YAML = """\
id: PYSEC-2026-2
modified: 2026-11-01T00:00:00Z
affected:
- package: {name: flask, ecosystem: PyPI}
  ranges:
  - type: ECOSYSTEM
    events: [{introduced: "0"}, {fixed: "2.10"}]
  versions: ["1.10"]
"""


def private(path: Path, key: ec.EllipticCurvePrivateKey) -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form))
    return str(path)


def public(path: Path, key: ec.EllipticCurvePrivateKey) -> str:
    path.write_text(pem_of(key))
    return str(path)


def archive(path: Path) -> str:
    """OSV's form of a feed: one file a record, and one that is none."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{NAME}.json", json.dumps(osv(NAME, aliases=["CVE-2026-7777"]), indent=2))
        made.writestr("PYSEC-2026-2.yaml", YAML)
        made.writestr("broken.json", "{")
    return str(path)


def application(service: RunningService, catalog: str) -> uuid.UUID:
    image_id, package = packed_application("Tap")
    service.service.updates.images.upload(catalog, package, actor="test")
    service.service.updates.bills.put_of_image(catalog, image_id, bill(BAD), actor="test")
    return image_id


def test_from_a_source_without_internet_to_the_devices(
    armillary: Command, service: RunningService, tmp_path: Path
) -> None:
    service.make_catalog("Contoso", product="Coffee")
    image_id = application(service, "Contoso")
    device = service.claimed("Contoso")
    device.installed = (
        InstalledImage(component_id=uuid.uuid4(), image_id=image_id, image_type=10, name="Tap", state="running"),
    )
    device.check_in()
    service.service.advisories.look()

    key, bundle = private(tmp_path / "feed.key", KEY), str(tmp_path / "pypi.bundle")
    pack = ("advisory-feed", "pack", "--feed", "osv-pypi", "--source", "https://osv.example/PyPI/all.zip", "--key", key)
    packed = armillary(*pack, "--file", archive(tmp_path / "all.zip"), "--output-file", bundle, "--json")
    assert packed.json["records"] == 2
    assert packed.json["ecosystems"] == ["PyPI"]
    assert "left out: broken.json" in packed.err

    refused = armillary("advisory-feed", "import", "--file", bundle)
    assert (refused.code, "trusted keys" in refused.err) == (1, True)
    assert "is a private key" in armillary("advisory-feed", "trust", "--key", key, "--name", "us").err
    trusted = public(tmp_path / "feed.pub", KEY)
    made = armillary("advisory-feed", "trust", "--key", trusted, "--name", "us", "--json").json
    imported = armillary("advisory-feed", "import", "--file", bundle, "--json").json
    assert (imported["edition"], imported["records"], imported["signer"]) == (1, 2, made["key_id"])
    again = armillary("advisory-feed", "import", "--file", bundle)
    assert (again.code, "is held" in again.err) == (1, True)

    assert [each["advisory_id"] for each in armillary("advisory", "list", "--json").json] == [NAME]
    assert armillary("advisory", "list", "--in-field", "--json").json[0]["devices"] == 1
    shown = armillary("advisory", "show", "CVE-2026-7777")
    assert shown.code == 0, shown.err
    assert NAME in shown.out
    affected = armillary("advisory", "affected", NAME, "--catalog", "Contoso", "--json").json
    assert [each["device_id"] for each in affected] == [device.device_id]
    assert armillary("advisory", "affected", NAME, "--state", "fixed", "--json").json == []
    traced = armillary("trace", "advisory", NAME, "--json").json
    assert traced["catalogs"] == {"Contoso": 1}
    assert [each["operation"] for each in traced["audit"]] == ["advisory-feed.import"]
    assert traced["audit"][0]["detail"]["sha256"] == packed.json["sha256"]
    assert "audit" not in armillary("trace", "advisory", NAME, "--catalog", "Contoso", "--json").json
    states = {each["name"]: each["state"] for each in armillary("advisory", "coverage", "--json").json}
    assert states["Tap"] == "affected"
    assert {state for name, state in states.items() if name != "Tap"} == {"unknown"}

    _what_is_said_here(armillary, str(image_id), device.device_id)

    country = ("device-group", "set-country", "-c", "Contoso", "-p", "Coffee", "-n", "Development", "--country")
    assert armillary(*country, "DE", "--json").json == {"country": "DE"}
    assert "two capital letters" in armillary(*country, "de").err
    listed = armillary("advisory-feed", "list")
    assert listed.out.splitlines()[1].split()[:3] == ["osv-pypi", "osv", "2"]
    assert len(armillary("advisory-feed", "editions", "--feed", "osv-pypi", "--json").json) == 1
    aged = armillary("advisory-feed", "set-max-age", "--feed", "osv-pypi", "--age", "36h", "--json").json
    assert aged["max_age_s"] == 36 * 3600
    revoked = armillary("advisory-feed", "revoke-key", "--key-id", made["key_id"], "--yes", "--json").json
    assert revoked["revoked_at"] is not None
    keys = armillary("advisory-feed", "keys").out
    assert "revoked_at" in keys
    assert str(revoked["revoked_at"]) not in keys, "people read dates"


def _what_is_said_here(armillary: Command, image: str, device: str) -> None:
    """A statement is made, changes the answer, is taken back, and each time keeps its answer."""
    state = ("advisory", "state")
    said = (*state, "set", NAME, "--image", image, "--author", "Anna", "--status", "not_affected")
    assert "justification" in armillary(*said).err
    made = armillary(*said, "--justification", "component_not_present", "--json").json
    assert (made["signature"], made["author"]) == ("valid", "Anna")
    assert armillary("advisory", "affected", NAME, "--json").json == []
    told = armillary("advisory", "affected", NAME, "--device", device)
    assert "component_not_present (Anna)" in told.out + told.err, told.err
    assert "not signed" not in armillary(*state, "list").out
    back = armillary(
        *state, "take-back", made["statement_id"], "-c", "Contoso", "--reason", "it is there", "--json"
    ).json
    assert back["taken_back_reason"] == "it is there"
    listed = armillary(*state, "list", "--advisory", NAME, "--json").json
    assert [each["statement_id"] for each in listed] == [made["statement_id"]]
    about = ("advisory", "affected", NAME, "--device", device)
    assert armillary(*about, "--json").json["state"] == "affected"
    before = armillary(*about, "--as-of", "2020-01-01")
    assert (before.code, "of the last 400 days" in before.err) == (1, True)
    assert "2020" not in armillary("advisory", "show", NAME, "--as-of", "now").err
    assert "needs --device" in armillary("advisory", "affected", NAME, "--as-of", "now").err
    assert "asked alone" in armillary(*about, "--limit", "1").err


def test_what_is_wrong_with_a_feed_is_said(armillary: Command, tmp_path: Path) -> None:
    key, output = private(tmp_path / "k", KEY), str(tmp_path / "out")
    pack = ("advisory-feed", "pack", "--feed", "x", "--source", "u", "--output-file", output)
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "r.json").write_text(json.dumps(osv(NAME)))
    record = str(tmp_path / "r.json")
    for arguments, said in (
        (("--key", key, "--file", str(empty)), "no JSON or YAML"),
        (("--key", key, "--file", str(tmp_path / "none")), "cannot be read"),
        (("--key", record, "--file", record), "P-256 private key"),
        (("--key", key, "--file", record, "--kind", "kev"), "kev-catalogue"),
        (("--key", key, "--file", record, "--kind", "openvex"), "vex-document"),
        (("--key", key, "--file", record, "--ecosystem", "x" * 65), "ecosystems"),
    ):
        answer = armillary(*pack, *arguments)
        assert (answer.code, said in answer.err) == (1, True), (arguments, answer.err)
    assert not Path(output).exists()
    (tmp_path / "no.bundle").write_bytes(b"x" * 100)
    assert "ARMFEED1" in armillary("advisory-feed", "import", "--file", str(tmp_path / "no.bundle")).err
    assert "no feed has an advisory" in armillary("advisory", "show", "CVE-1999-0001").err


@pytest.mark.parametrize(("age_s", "said"), [(-3600, "from now"), (60, "")])
def test_a_bundle_from_the_future_is_refused(
    armillary: Command, tmp_path: Path, service: RunningService, age_s: int, said: str
) -> None:
    service.service.advisories.keys.trust(f"other {age_s}", pem_of(ec.generate_private_key(ec.SECP256R1())), actor="t")
    known = {each.name for each in service.service.advisories.keys.list()}
    if "second" not in known:
        service.service.advisories.keys.trust("second", pem_of(OTHER_KEY), actor="t")
    (tmp_path / "r.json").write_text(json.dumps(osv(NAME)))
    packed = armillary(
        "advisory-feed", "pack", "--feed", "timed", "--source", "u", "--key", private(tmp_path / "k", OTHER_KEY),
        "--file", str(tmp_path / "r.json"), "--output-file", str(tmp_path / "b"), "--as-of", str(int(time.time()) - age_s),
    )  # fmt: skip
    assert packed.code == 0, packed.err
    answer = armillary("advisory-feed", "import", "--file", str(tmp_path / "b"))
    assert (answer.code, said in answer.err) == (1 if said else 0, True), answer.err


def test_sources_of_every_kind_become_records(tmp_path: Path) -> None:
    scores = tmp_path / "epss.csv.gz"
    head = "#model_version:v2025.03.14,score_date:2026-11-24T00:00:00Z\ncve,epss,percentile\n"
    scores.write_bytes(gzip.compress((head + "CVE-2026-1234,0.5,0.9\n").encode()))
    reading = FeedSource("epss")
    assert list(reading.records([scores])) == [b'["CVE-2026-1234",0.5,0.9]']
    assert reading.as_of == 1_795_478_400
    record = tmp_path / "a.yaml"
    record.write_text(YAML)
    (packed,) = FeedSource("osv").records([record])
    advisory = read_advisory(packed)
    assert advisory.affected[0].versions == ("1.10",)
    assert read_advisory(json.dumps(osv_form(advisory)).encode()) == advisory
