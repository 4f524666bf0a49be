# SPDX-License-Identifier: Apache-2.0
"""``armillary attestation-policy`` and the life of a release, from the command line to the records and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.api.running_service import RunningService, fresh_os_version
from tests.cli.conftest import Command

from armillary.cli.terminal.times import moment
from armillary.errors import InvalidArgumentError
from armillary.wire.attestation import corim


def test_a_policy_is_shown_and_set(armillary: Command, catalog: str) -> None:
    shown = armillary("attestation-policy", "show", "-c", catalog)
    assert shown.err == "No policy was ever set: the catalog demands nothing.\n"
    assert shown.out == (
        f"catalog                    {catalog}\n"
        "version                    0\n"
        "minimum_tier               simulated\n"
        "chips                      any\n"
        "minimum_security_versions  -\n"
        "older_releases_until       no-end\n"
        "maximum_release_age_days   no-end\n"
        "firmware_log               no\n"
        "mechanisms                 -\n"
        "changed_at                 -\n"
        "changed_by                 -\n"
    )
    options = (
        "--minimum-tier", "tpm", "--chip", "imx8mp", "--chip", "mt3620", "--older-releases-until", "2030-06-30",
        "--maximum-release-age", "180", "--if-version", "0",
    )  # fmt: skip
    made = armillary("attestation-policy", "set", "-c", catalog, *options, "--yes", "--json")
    facts: dict[str, Any] = made.json
    assert (facts["version"], facts["chips"], facts["older_releases_until"]) == (1, ["imx8mp", "mt3620"], 1_909_008_000)
    lifted = ("--any-chip", "--older-releases-until", "no-end", "--maximum-release-age", "no-end")
    text = armillary("attestation-policy", "set", "-c", catalog, *lifted, "-y").out
    assert [line.split()[1] for line in text.splitlines()][1:7] == ["2", "tpm", "any", "-", "no-end", "no-end"]
    listed = armillary("attestation-policy", "show", "-c", catalog, "--versions").out.splitlines()
    assert [line.split()[0] for line in listed] == ["version", "2", "1"]
    assert "2030-06-30T00:00:00Z" in listed[2]


def test_a_firmware_log_is_demanded_and_no_longer(armillary: Command, catalog: str) -> None:
    for option, demanded in (("--firmware-log", True), ("--no-firmware-log", False)):
        ran = armillary("attestation-policy", "set", "-c", catalog, option, "-y", "--json")
        assert ran.json["firmware_log"] is demanded


def test_mechanisms_are_demanded_and_no_longer(armillary: Command, catalog: str) -> None:
    words = ("--mechanism", "process-limit", "--mechanism", "memory-limit")
    ran = armillary("attestation-policy", "set", "-c", catalog, *words, "-y", "--json")
    assert ran.json["mechanisms"] == ["memory-limit", "process-limit"]
    ran = armillary("attestation-policy", "set", "-c", catalog, "--mechanism", "none", "-y", "--json")
    assert ran.json["mechanisms"] == []


def test_setting_asks_first(armillary: Command, catalog: str) -> None:
    ran = armillary("attestation-policy", "set", "-c", catalog, "--minimum-tier", "tpm", stdin="n\n")
    assert ran.code == 1
    assert "Devices that lack it get only updates. [y/N]" in ran.err
    assert armillary("attestation-policy", "show", "-c", catalog, "--json").json["version"] == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "nothing to change"),
        (("--chip", "mt3620", "--any-chip"), "contradict"),
        (("--mechanism", "landlock", "--mechanism", "none"), "contradict"),
        (("--mechanism", "landlok", "--yes"), "landlok"),
        (("--minimum-security-version", "7"), "expected TYPE=N, got '7'"),
        (("--maximum-release-age", "soon"), "expected a number of days or no-end"),
        (("--older-releases-until", "soon"), "expected a date or time"),
        (("--chip", "z80"), "z80"),
        (("--minimum-security-version", "60000=1"), "no release that the catalog's groups are given"),
    ],
)
def test_wrong_demands_are_explained(armillary: Command, catalog: str, options: tuple[str, ...], named: str) -> None:
    ran = armillary("attestation-policy", "set", "-c", catalog, "-y", *options)
    assert ran.code == 1
    assert named in ran.err
    assert "hint: " in ran.err


def test_a_release_ends_and_is_withdrawn(armillary: Command) -> None:
    version = fresh_os_version()
    made = armillary("release", "publish", "--chip", "imx8mp", "--os-version", version, "--json").json
    release = ("--release", made["release_id"])
    assert (
        "good until 2030-06-30T18:00:00Z"
        in armillary("release", "set-expiry", *release, "--until", "2030-06-30T18:00:00Z").out
    )
    assert (
        "expired 2020-06-30T18:00:00Z"
        in armillary("release", "set-expiry", *release, "--until", "2020-06-30T18:00:00Z").out
    )
    assert "good\n" in armillary("release", "set-expiry", *release, "--until", "no-end").out
    asked = armillary("release", "withdraw", *release, "--reason", "It hangs.", stdin="n\n")
    assert (asked.code, "gets only updates, for good" in asked.err) == (1, True)
    taken = armillary("release", "withdraw", *release, "--reason", "It hangs.", "-y")
    state = next(line for line in taken.out.splitlines() if line.startswith("state"))
    assert state.split()[1] == "withdrawn"
    assert state.endswith(": It hangs.")
    listed = armillary("release", "list", "--chip", "imx8mp").out
    assert next(line for line in listed.splitlines() if version in line).endswith(": It hangs.")


def test_moments_are_utc_unless_they_say_otherwise() -> None:
    assert moment("--until", "2030-06-30") == moment("--until", "2030-06-30T02:00:00+02:00") == 1_909_008_000
    assert moment("--until", "now") > 1_700_000_000
    with pytest.raises(InvalidArgumentError, match="--until"):
        moment("--until", "2030-13-01")


def test_a_release_goes_out_and_comes_in_as_corim(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    version = fresh_os_version()
    made = armillary("release", "publish", "--chip", "imx8mp", "--os-version", version, "--json").json
    plain, signed, key, other = (tmp_path / name for name in ("plain.corim", "signed.corim", "key.pem", "other.corim"))
    ran = armillary("release", "export-corim", f"imx8mp/{version}", "--output", str(plain))
    assert ran.err == f"{plain.stat().st_size} bytes, not signed\n"
    assert armillary("release", "export-corim", made["release_id"], "--output", str(signed), "--signed").code == 0
    assert "has no release 0.0" in armillary("release", "export-corim", "imx8mp/0.0", "--output", str(plain)).err
    certificate = service.service.authority.os_signer.certificate
    key.write_bytes(certificate.public_bytes(Encoding.PEM))
    again = armillary("release", "import-corim", str(signed), "--key", str(key))
    assert (again.code, f"has a release {version}" in again.err) == (1, True)
    value = dataclasses.replace(corim.parse_corim(plain.read_bytes()), os_version=f"{version}-b")
    other.write_bytes(corim.encode_corim(value))
    assert "hint: " in armillary("release", "import-corim", str(other)).err
    shown = armillary("release", "import-corim", str(other), "--allow-unsigned").out
    assert next(line for line in shown.splitlines() if line.startswith("state")).endswith("good; imported")
    other.write_bytes(corim.encode_corim(dataclasses.replace(value, chip="RoadRunner", os_version=None)))
    options = ("--chip", "imx8mp", "--os-version", f"{version}-c", "--pass-over", "index", "--security-version", "1")
    told = armillary("release", "import-corim", str(other), "--allow-unsigned", *options)
    assert (told.code, "passed over: model RoadRunner" in told.err) == (0, True)
