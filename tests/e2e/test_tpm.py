# SPDX-License-Identifier: Apache-2.0
"""A device whose key lives in a TPM (a software TPM of this test's own), on a real service, from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.e2e.armillary_processes import Service, armillary, armillary_here, running_service
from tests.engines.swtpm import SwTpm, needs_tpm, software_tpm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), needs_tpm]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tpm-e2e")


@pytest.fixture(scope="module")
def tpm(folder: Path) -> Iterator[SwTpm]:
    with software_tpm(folder / "tpm") as running:
        yield running


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with running_service(folder / "data") as running:
        done = armillary_here("catalog", "create", "--name", "Contoso", env=running.env)
        assert done.returncode == 0, done.stderr
        yield running


def create(env: dict[str, str], tpm: SwTpm, data: Path) -> subprocess.CompletedProcess[str]:
    options = (
        "--chip",
        "gateway-x86-64",
        "--root-of-trust",
        "tpm2",
        "--tpm",
        tpm.tcti,
        "--sandbox",
        "process",
        "--json",
    )
    return armillary("device", "create", "--data", data, *options, env=env)


def claimed(service: Service, tpm: SwTpm, data: Path) -> str:
    """A new device of the catalog; its id."""
    made = create(service.env, tpm, data)
    assert made.returncode == 0, made.stderr
    device_id: str = json.loads(made.stdout)["device_id"]
    done = armillary_here("device", "claim", "--catalog", "Contoso", "--device", device_id, env=service.env)
    assert done.returncode == 0, done.stderr
    return device_id


@pytest.fixture(scope="module")
def device(folder: Path, service: Service, tpm: SwTpm) -> tuple[Path, str]:
    """Folder and id of a device of the catalog; it may check in so often that two tests cannot share it."""
    trust(folder, tpm)
    return folder / "device", claimed(service, tpm, folder / "device")


def trust(folder: Path, tpm: SwTpm) -> None:
    roots = folder / "data" / "tpm-roots"
    roots.mkdir(exist_ok=True)
    (roots / "swtpm.pem").write_bytes(tpm.issuer.public_bytes(Encoding.PEM))


def attest(data: Path) -> tuple[int, dict[str, object], str]:
    done = armillary("device", "attest", "--data", data, "--json")
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_a_tpm_whose_maker_is_not_trusted_is_refused(folder: Path, service: Service, tpm: SwTpm):
    shutil.rmtree(folder / "data" / "tpm-roots", ignore_errors=True)
    done = create(service.env, tpm, folder / "untrusted")
    assert done.returncode == 1
    assert "tpm-roots" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_enrols_boots_and_attests_with_tier_tpm(service: Service, device: tuple[Path, str]):
    data, device_id = device
    code, found, errors = attest(data)
    assert code == 0, errors
    assert found["verdict"] == "attested"
    missed = [step for step in found["steps"] if step["result"] != "pass"]  # type: ignore[attr-defined]
    assert {(step["name"], step["result"]) for step in missed} <= {("firmware log", "not-run")}  # a host may have none
    shown = armillary_here("device", "show", "--device", device_id, "--json", env=service.env)
    assert json.loads(shown.stdout)["trust_tier"] == "tpm", shown.stderr

    # A second boot: the TPM counts on, the PCR is measured anew.
    again, found, errors = attest(data)
    assert (again, found["verdict"]) == (0, "attested"), errors

    # Restored without the service learning anything new: same key, same tier.
    recovered = armillary("device", "recover", "--data", data, "--json", env=service.env)
    assert (recovered.returncode, json.loads(recovered.stdout)) == (0, {"restored": []}), recovered.stderr


def test_a_token_does_instead_of_a_login_and_the_same_keys_come_again(folder: Path, service: Service, tpm: SwTpm):
    """Cut short after the service made the device: the keys in the TPM are asked about again, nothing more is spent."""
    trust(folder, tpm)
    made = armillary_here("enrolment-token", "create", "--catalog", "Contoso", "--json", env=service.env)
    token = {**service.env, "ARMILLARY_TOKEN": json.loads(made.stdout)["secret"]}
    first = create(token, tpm, folder / "gateway")
    assert first.returncode == 0, first.stderr
    # As if killed before the mark: the note of the options is what is left.
    (folder / "gateway" / "layout.json").unlink()
    options = {"chip": "gateway-x86-64", "root_of_trust": "tpm2", "sandbox": "process", "tpm": tpm.tcti}
    noted = json.dumps({**options, "state": "DeviceComplete"}, sort_keys=True)
    (folder / "gateway" / "creation.json").write_text(noted)
    again = create(token, tpm, folder / "gateway")
    assert again.returncode == 0, again.stderr
    device_id = json.loads(first.stdout)["device_id"]
    assert json.loads(again.stdout)["device_id"] == device_id
    shown = json.loads(armillary_here("device", "show", "--device", device_id, "--json", env=service.env).stdout)
    assert (shown["trust_tier"], shown["catalog"]) == ("tpm", "Contoso")
    spent = create(token, tpm, folder / "second")
    assert (spent.returncode, "used 1 of 1 times" in spent.stderr) == (1, True), spent.stderr
    assert attest(folder / "gateway")[1]["verdict"] == "attested"


def test_the_attestation_key_of_another_tpm_is_noticed(folder: Path, service: Service, tpm: SwTpm):
    """The identity key stays where it is, so TLS, endorsement and evidence are genuine; only the quote is another's."""
    trust(folder, tpm)
    victim = folder / "victim"
    claimed(service, tpm, victim)
    assert create(service.env, tpm, folder / "other").returncode == 0
    file = victim / "root-of-trust" / "tpm.json"
    genuine = json.loads(file.read_bytes())
    other = json.loads((folder / "other" / "root-of-trust" / "tpm.json").read_bytes())
    file.write_text(json.dumps({**genuine, "attestation": other["attestation"]}))
    code, found, _ = attest(victim)
    assert (code, found["verdict"], found["purpose"]) == (1, "update-only", "update")
    failed = [step for step in found["steps"] if step["result"] == "fail"]  # type: ignore[attr-defined]
    assert [step["number"] for step in failed] == [16]
    assert "does not verify" in failed[0]["detail"]
    file.write_text(json.dumps(genuine))
    assert attest(victim)[0] == 0  # positive control


def test_a_stolen_folder_does_not_speak(folder: Path, device: tuple[Path, str]):
    stolen = shutil.copytree(device[0], folder / "stolen")
    with software_tpm(folder / "thief") as thief:
        file = stolen / "root-of-trust" / "tpm.json"
        file.write_text(json.dumps({**json.loads(file.read_bytes()), "tpm": thief.tcti}))
        code, _, errors = attest(stolen)
    assert code == 1
    assert "host.root-of-trust" in errors
    assert "Traceback" not in errors
