# SPDX-License-Identifier: Apache-2.0
"""``armillary release create|sign|publish|promote|revoke`` and bills of materials, as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, fresh_os_version
from tests.cli.conftest import Command, Ran

from armillary.attest import firmware_reference as rules
from armillary.cli.release import release_life
from armillary.errors import ConflictError

CHIP = "imx8mp"


def test_from_files_to_everybody_and_back(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    packages = service.service.releases.packages(service.service.releases.newest(CHIP))
    given: list[str] = []
    for name, package in packages.items():
        (tmp_path / name).write_bytes(package)
        given += ["--component", f"{name}={tmp_path / name}"]
    made = armillary("release", "create", "--chip", CHIP, "--os-version", fresh_os_version(), *given, "--json").json
    release = ("--release", made["release_id"])
    assert "draft, signed" in armillary("release", "show", *release).out
    assert armillary("release", "sign", *release).code == 0
    bill = tmp_path / "bom.json"
    bill.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5"}))
    assert "components" in armillary("release", "add-sbom", str(bill), *release).out
    assert armillary("release", "get-sbom", *release, "-o", str(tmp_path / "again.json")).code == 0
    assert (tmp_path / "again.json").read_bytes() == bill.read_bytes()
    assert armillary("release", "publish", *release, "--json").json["feed"] == "RetailEval"
    named = ("--release", f"{CHIP}/{made['version']}")  # whoever knows the version need not look the id up
    assert armillary("release", "promote", *named, "--json").json["feed"] == "Retail"
    assert armillary("release", "show", *named).out == armillary("release", "show", *release).out
    revoked = armillary("release", "revoke", *named, "--reason", "it does not boot", "--yes")
    assert "it does not boot" in revoked.out


def test_what_the_build_stated_comes_with_the_release(armillary: Command, catalog: str, tmp_path: Path) -> None:
    file = tmp_path / "reference-values.json"
    value = {"kind": "final-value", "pcr": 4, "digest": "ab" * 32, "event_type": None}
    file.write_text(json.dumps({"chip": CHIP, "values": [value], "origins": {"4": "built"}}))
    asked = ("--chip", CHIP, "--reference-values", str(file), "-c", catalog, "--yes", "--json")
    made = armillary("release", "create", "--os-version", fresh_os_version(), *asked)
    assert made.code == 0, made.err
    assert f"armillary attestation-policy set --catalog {catalog} --chip {CHIP}" in made.err
    (stated,) = armillary("attestation-policy", "firmware", "list", "-c", catalog, "--json").json
    assert (stated["chip"], stated["values"]) == (CHIP, [value])
    assert stated["note"] == f"built with release {made.json['release_id']}"

    version = fresh_os_version()
    other = {**value, "digest": "cd" * 32}
    file.write_text(json.dumps({"chip": CHIP, "values": [other]}))
    unasked = armillary("release", "create", "--os-version", version, *asked[:-2])  # nobody says yes
    assert (unasked.code, "State them as good?" in unasked.err) == (1, True)
    misspelt = armillary("release", "create", "--os-version", version, *asked[:-4], "-c", "Nobody", "--yes")
    assert (misspelt.code, "Nobody" in misspelt.err) == (1, True)
    file.write_text(json.dumps({"chip": "gateway-imx8mp", "values": [other]}))
    refused = armillary("release", "create", "--os-version", version, *asked)
    assert refused.code == 1
    assert f"expected reference values for chip {CHIP}" in refused.err
    assert armillary("release", "show", "--release", f"{CHIP}/{version}").code == 1, "nothing was made"
    assert len(armillary("attestation-policy", "firmware", "list", "-c", catalog, "--json").json) == 1


def test_a_release_whose_values_cannot_be_stated_is_not_made(
    armillary: Command, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog has so many lists of values; a build of the same boot adds none."""
    monkeypatch.setattr(rules, "MAX_LISTS", 1)
    file = tmp_path / "reference-values.json"
    value = {"kind": "final-value", "pcr": 4, "digest": "ab" * 32, "event_type": None}

    def create(digest: str, version: str) -> Ran:
        file.write_text(json.dumps({"chip": CHIP, "values": [{**value, "digest": digest}]}))
        options = ("--chip", CHIP, "--os-version", version, "--reference-values", str(file), "-c", catalog, "--yes")
        return armillary("release", "create", *options)

    def lists() -> int:
        return len(armillary("attestation-policy", "firmware", "list", "-c", catalog, "--json").json)

    assert (create("ab" * 32, fresh_os_version()).code, lists()) == (0, 1)
    again = create("ab" * 32, fresh_os_version())
    assert (again.code, lists()) == (0, 1), again.err
    assert "all stated already" in again.err
    assert f"Catalog {catalog} accepts any chip" in again.err
    version = fresh_os_version()
    refused = create("cd" * 32, version)
    assert (refused.code, lists()) == (1, 1)
    assert "has 1 lists of firmware reference values" in refused.err
    assert armillary("release", "show", "--release", f"{CHIP}/{version}").code == 1, "nothing was made"
    monkeypatch.setattr(rules, "MAX_LISTS", 2)
    assert (create("cd" * 32, version).code, lists()) == (0, 2), "the same command goes on"


def test_a_draft_whose_values_were_not_stated_says_what_is_left_to_do(
    armillary: Command, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise ConflictError("another one came first", remedy="")

    monkeypatch.setattr(release_life, "state_values", refuses)
    file, version = tmp_path / "reference-values.json", fresh_os_version()
    file.write_text(json.dumps({"chip": CHIP, "values": [{"kind": "final-value", "pcr": 4, "digest": "ab" * 32}]}))
    options = ("--chip", CHIP, "--os-version", version, "--reference-values", str(file), "-c", catalog, "--yes")
    half = armillary("release", "create", *options)
    assert (half.code, "another one came first" in half.err) == (1, True)
    assert f"armillary attestation-policy firmware add {file} --catalog {catalog}" in " ".join(half.err.split())
    assert "draft" in armillary("release", "show", "--release", f"{CHIP}/{version}").out


@pytest.mark.parametrize(
    "wrong",
    [
        ("publish",),
        ("publish", "--release", "x", "--chip", CHIP, "--os-version", "1"),
        ("publish", "--chip", CHIP),
        ("publish", "--release", "x", "--os-feed", "Retail"),
        ("publish", "--release", "x", "--security-version", "2"),
        ("create", "--chip", CHIP, "--os-version", "32.1", "--component", "loader"),
        ("create", "--chip", CHIP, "--os-version", "32.1", *("--component", "loader=/dev/null") * 2),
    ],
)
def test_wrong_usage_is_said(armillary: Command, wrong: tuple[str, ...]) -> None:
    assert armillary("release", *wrong).code == 2


@pytest.mark.parametrize("verb", [("release", "show"), ("release", "sign"), ("rollout", "create-os")])
def test_a_release_that_is_named_wrongly_is_said_in_words(armillary: Command, verb: tuple[str, ...]) -> None:
    for wrong, said in (
        ("26.12", "expected its id, or CHIP/VERSION"),
        ("../tokens", ".. has no release tokens"),
        (f"{CHIP}/0.0", f"{CHIP} has no release 0.0"),
    ):
        refused = armillary(*verb, "--release", wrong)
        assert (refused.code, said in refused.err) == (1, True), refused.err
        assert "armillary release list" in refused.err


def test_a_feed_is_made_given_to_a_group_and_not_deleted_while_it_has_it(
    armillary: Command, service: RunningService, catalog: str
) -> None:
    service.service.registry.products.create(catalog, "Tea", actor="test")
    service.service.registry.groups.create(catalog, "Tea", "Pots", actor="test")
    group = ("-c", catalog, "-p", "Tea", "-dg", "Pots")
    assert armillary("feed", "create", "Lab", "--follows", "RetailEval", "--json").json["follows"] == "RetailEval"
    listed = armillary("feed", "list").out
    assert "always there" in listed
    assert "Lab" in listed
    changed = armillary("device-group", "update", *group, "--os-feed", "Lab", "--json")
    assert changed.code == 0, changed.err
    refused = armillary("feed", "delete", "Lab", "--yes")
    assert (refused.code, "have the feed Lab" in refused.err) == (1, True)
    unknown = armillary("device-group", "update", *group, "--os-feed", "Nightly")
    assert (unknown.code, "expected Retail, RetailEval or Lab" in unknown.err) == (1, True)
    assert armillary("device-group", "update", *group, "--os-feed", "Retail").code == 0
    assert armillary("feed", "delete", "Lab", "--yes").code == 0
