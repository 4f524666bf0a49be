# SPDX-License-Identifier: Apache-2.0
"""``armillary audit``: checkpoints, proofs that are verified without the service, and a witness."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.wire.transparency import checkpoint as checkpoints, note as notes


@pytest.fixture
def key(armillary: Command) -> str:
    """The verifier key of the audit log, as who verifies proofs has kept it."""
    logs = {each["log"]: each["verifier_key"] for each in armillary("audit", "logs", "--json").json}
    assert set(logs) == {"audit", "releases"}
    return str(logs["audit"])


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery staple\n")
    path.chmod(0o600)
    return path


def test_a_proof_is_verified_offline_and_breaks_on_one_changed_byte(
    armillary: Command,
    bare: Command,
    service: RunningService,
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, proof = tmp_path / "kept.note", tmp_path / "proof.json"
    armillary("audit", "checkpoint", "--output-file", str(kept))
    service.service.registry.catalogs.create("Proved", actor="ann")
    made = armillary(
        "audit", "prove", "--target", "Proved", "--since", str(kept), "--output-file", str(proof), "--json"
    ).json
    assert (made["entries"], made["key"]) == (1, key)
    for name in ("ARMILLARY_SERVICE", "ARMILLARY_TOKEN", "ARMILLARY_CA"):
        monkeypatch.delenv(name)
    ran = bare("audit", "verify", str(proof), "--key", key, "--since", str(kept), "--json")
    assert [(each["actor"], each["operation"], each["target"]) for each in ran.json["entries"]] == [
        ("ann", "catalog.create", "Proved")
    ]
    assert "catalog.create" in bare("audit", "verify", str(proof), "--key", key).out
    content = proof.read_bytes()
    broken = content.replace(b"ann", b"bob")
    assert broken != content
    proof.write_bytes(broken)
    refused = bare("audit", "verify", str(proof), "--key", key)
    assert refused.code == 1
    assert "[transparency.proof]" in refused.err


def test_a_proof_without_a_key_or_for_another_log_or_past_is_refused(
    armillary: Command, key: str, tmp_path: Path
) -> None:
    proof, kept = tmp_path / "proof.json", tmp_path / "kept.note"
    armillary("audit", "prove", "--first", "1", "--output-file", str(proof))
    assert "--key" in armillary("audit", "verify", str(proof)).err
    other = armillary("audit", "logs", "--json").json[1]["verifier_key"]
    assert armillary("audit", "verify", str(proof), "--key", other).code == 1
    assert armillary("audit", "verify", str(proof), "--key", str(tmp_path / "nothing")).code == 1
    armillary("audit", "checkpoint", "--output-file", str(kept))
    refused = armillary("audit", "verify", str(proof), "--key", key, "--since", str(kept))
    assert "[transparency.inconsistent]" in refused.err
    keyfile = tmp_path / "log.key"
    keyfile.write_text(key + "\n")
    assert armillary("audit", "verify", str(proof), "--key", str(keyfile)).code == 0
    for wrong in (("--log", "nothing"), ("--first", "3", "--last", "2"), ("--target", "x", "--first", "1")):
        assert armillary("audit", "prove", "--output-file", str(proof), *wrong).code == 1


def test_the_whole_log_is_verified_by_the_service(armillary: Command) -> None:
    found = armillary("audit", "verify", "--json").json
    assert found["broken_at"] is None
    assert found["forked_at"] is None
    assert len(found["root"]) == 64


def test_the_release_log_is_listed_and_proved(armillary: Command, tmp_path: Path) -> None:
    first = armillary("audit", "entries", "--log", "releases", "--limit", "1", "--json").json[0]
    assert first["operation"] == "release.publish"
    key = armillary("audit", "logs", "--json").json[1]["verifier_key"]
    proof = tmp_path / "release.json"
    armillary("audit", "prove", "--log", "releases", "--target", first["target"], "--output-file", str(proof))
    found = armillary("audit", "verify", str(proof), "--key", key, "--json").json
    assert found["entries"][0]["detail"]["components"]
    assert found["log"].endswith("/releases")


def test_a_witness_cosigns_what_only_grew_and_refuses_what_did_not(
    armillary: Command, key: str, passphrase: Path, tmp_path: Path
) -> None:
    folder, secret = tmp_path / "witness", ("--passphrase-file", str(passphrase))
    armillary("audit", "witness", "create", str(folder), "--name", "w.example/1", *secret)
    keyfile = folder / "witness.key"
    assert armillary("audit", "witness", "create", str(folder), "--name", "w.example/1", *secret).code == 1
    stranger = armillary("audit", "cosign", str(folder), *secret)
    assert "--key" in stranger.err
    keys = [each["verifier_key"] for each in armillary("audit", "logs", "--json").json]
    given = [part for each in keys for part in ("--key", each)]
    assert armillary("audit", "cosign", str(folder), *given, *secret).code == 1  # the service does not know it
    seen = json.loads((folder / "seen.json").read_text())
    assert seen[key]["size"] >= 1  # what was seen is kept before a cosignature leaves, which here nobody took
    armillary("audit", "witness", "add", str(keyfile))
    assert armillary("audit", "witness", "list", "--json").json[0]["name"] == "w.example/1"
    cosigned = armillary("audit", "cosign", str(folder), *secret, "--json").json
    assert [each["log"] for each in cosigned] == ["audit", "releases"]
    size = str(cosigned[0]["size"])
    note = armillary("audit", "checkpoint", "--size", size, "--json").json["note"]
    mine = notes.parse_verifier_key(keyfile.read_text())
    assert checkpoints.verify(note.encode(), notes.parse_verifier_key(key), [mine]).witnesses
    proof = tmp_path / "proof.json"
    armillary("audit", "prove", "--first", "1", "--size", size, "--output-file", str(proof))
    trusted = ("--key", key, "--witness", str(keyfile))
    assert armillary("audit", "verify", str(proof), *trusted, "--json").json["witnesses"][0]["name"] == "w.example/1"
    armillary(
        "audit", "prove", "--first", "1", "--output-file", str(proof)
    )  # a newer checkpoint, which it has not seen
    assert armillary("audit", "verify", str(proof), *trusted).code == 1

    seen = json.loads((folder / "seen.json").read_text())
    seen[key]["root"] = "00" * 32  # as if it had been shown another history
    (folder / "seen.json").write_text(json.dumps(seen))
    refused = armillary("audit", "cosign", str(folder), *secret)
    assert "[transparency.inconsistent]" in refused.err
    assert list(folder.glob("refused-audit-*.note"))  # the proof that is kept
    armillary("audit", "witness", "remove", "w.example/1")
    assert armillary("audit", "witness", "list", "--json").json == []


def test_a_witness_that_cannot_read_what_it_saw_signs_nothing(
    armillary: Command, passphrase: Path, tmp_path: Path
) -> None:
    folder, secret = tmp_path / "witness", ("--passphrase-file", str(passphrase))
    armillary("audit", "witness", "create", str(folder), "--name", "w.example/2", *secret)
    for content in ("{", "[]", '{"a+b+c": {"size": "x"}}', '{"a": 5}'):
        (folder / "seen.json").write_text(content)
        assert armillary("audit", "cosign", str(folder), *secret).code == 1
    (folder / "seen.json").unlink()
    (folder / "witness.key").unlink()
    assert armillary("audit", "cosign", str(folder), *secret).code == 1
    assert armillary("audit", "cosign", str(tmp_path / "nowhere"), *secret).code == 1
    assert armillary("audit", "witness", "create", str(folder), "--name", "two words", *secret).code == 1
