# SPDX-License-Identifier: Apache-2.0
"""``armillary release keys``: ceremonies from the command line, with keys in files and in a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, own_service
from tests.cli.conftest import Command
from tests.engines.softhsm import make_token, needs_softhsm

from armillary.cli.release import release_keys
from armillary.engines.signer import passphrase as passphrases
from armillary.errors import ServiceUnreachableError

service = own_service(scope="function")  # each test changes the keys of the whole service


@pytest.fixture
def passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name a passphrase; each key of these ceremonies is encrypted, which is slow on purpose otherwise."""
    monkeypatch.setattr(passphrases, "PERSONS_COST", passphrases.GENERATED_COST)
    file = tmp_path / "passphrase"
    file.write_text("a sentence of some words\n")
    file.chmod(0o600)
    return ["--passphrase-file", str(file)]


def custody(armillary: Command) -> dict[str, str]:
    shown = armillary("release", "keys", "show", "--json").json
    return {one["role"]: f"{one['custody']} {one['threshold']} of {len(one['keys'])}" for one in shown["roles"]}


def test_root_and_targets_go_offline_with_one_command(
    armillary: Command, service: RunningService, passphrase: list[str], tmp_path: Path
) -> None:
    before = armillary("release", "keys", "show")
    assert before.out.splitlines()[0].split() == ["role", "keys", "custody", "version", "expires_at", "targets"]
    assert set(custody(armillary).values()) == {"online 1 of 1"}
    assert "Nothing waits for signatures." in before.err
    keys = tmp_path / "ceremony"
    arguments = ("release", "keys", "init", str(keys), "--count", "3", "--threshold", "2", *passphrase)
    done = armillary(*arguments, "--yes")
    assert done.code == 0, done.err
    assert "Published." in done.err
    after = custody(armillary)
    assert (after["root"], after["targets"], after["timestamp"]) == (
        "offline 2 of 3",
        "offline 2 of 3",
        "online 1 of 1",
    )
    assert sorted(path.name for path in keys.iterdir()) == sorted(
        [
            "protection.json",
            *(f"{r}-{n}{end}" for r in ("root", "targets") for n in (1, 2, 3) for end in (".pem", ".pub.pem")),
        ]
    )
    assert b"ENCRYPTED" in (keys / "root-1.pem").read_bytes()
    assert service.service.health()["repository"]["keys"]["root"] == "offline"  # type: ignore[index]
    assert armillary(*arguments, "--yes").code == 1  # these keys exist


def test_what_waits_is_exported_signed_elsewhere_and_brought_back(
    armillary: Command, bare: Command, passphrase: list[str], tmp_path: Path
) -> None:
    people = [tmp_path / "alice", tmp_path / "bob"]
    for number, folder in enumerate(people):
        made = bare("release", "keys", "new-key", str(folder), "--name", f"root-{number}", *passphrase, "--json").json
        assert (folder / f"root-{number}.pub.pem") == Path(made["public_key"])
    publics = [argument for path in people for argument in ("--key", str(next(path.glob("*.pub.pem"))))]
    waits = armillary("release", "keys", "rotate", "root", *publics, "--threshold", "2", "--json").json
    assert (waits["published"], [one["missing"] for one in waits["waiting"]]) == (False, [2])
    file = tmp_path / "metadata.json"
    assert armillary("release", "keys", "export", str(file)).code == 0
    asked = bare("release", "keys", "sign", str(file), "--keys", str(people[0]), *passphrase, stdin="n\n")
    assert "root version 2" in asked.err
    assert "root: 2 of " in asked.err
    assert json.loads(file.read_text())["documents"][0]["metadata"]["signed"]["version"] == 2
    signed = bare("release", "keys", "sign", str(file), "--keys", str(people[0]), *passphrase, "--yes", "--json").json
    assert len(signed["signatures"]) == 1
    half = armillary("release", "keys", "import", str(file))
    assert (half.code, "Not published yet" in half.err) == (0, True)
    again = armillary("release", "keys", "import", str(file))
    assert (again.code, "no signature that was not known" in again.err) == (1, True)
    bare("release", "keys", "sign", str(file), "--keys", str(people[1]), *passphrase, "--yes")
    done = armillary("release", "keys", "import", str(file))
    assert "Published." in done.err
    assert custody(armillary)["root"] == "offline 2 of 2"
    refused = armillary("release", "keys", "recover", "root")
    assert (refused.code, "rotate" in refused.err) == (1, True)


def test_root_calls_times_false_and_who_signs_it_reads_which(
    armillary: Command, bare: Command, passphrase: list[str], tmp_path: Path
) -> None:
    nobody = armillary("release", "keys", "correct-clock", "--yes")
    assert (nobody.code, "no device has checked in at a time that is later than now" in nobody.err) == (1, True)
    times = ("--from", "2097-01-01T00:00:00Z", "--until", "2097-01-01T02:00:00Z", "--yes")
    past = armillary("release", "keys", "correct-clock", "--from", "2020-01-01", "--until", "2097-01-01", "--yes")
    assert (past.code, "after now" in past.err) == (1, True)
    assert armillary("release", "keys", "correct-clock", *times, "--json").json["published"] is True
    keys, file = str(tmp_path / "k"), str(tmp_path / "metadata.json")
    armillary("release", "keys", "init", keys, *passphrase, "--yes")
    assert armillary("release", "keys", "correct-clock", *times, "--json").json["published"] is False
    armillary("release", "keys", "export", file)
    asked = bare("release", "keys", "sign", file, "--keys", keys, *passphrase, stdin="n\n")
    assert "sets back devices that believe a time from 2097-01-01T00:00:00+00:00 to 2097-01-01T02:00:00" in asked.err
    assert armillary("release", "keys", "cancel", "--yes").code == 0
    done = armillary("release", "keys", "correct-clock", *times, "--keys", keys, *passphrase)
    assert "Published." in done.err


def test_an_online_key_is_replaced_also_where_targets_are_offline(
    armillary: Command, passphrase: list[str], tmp_path: Path
) -> None:
    def key_of(role: str) -> Any:
        shown = armillary("release", "keys", "show", "--json").json
        return next(one["keys"][0]["key_id"] for one in shown["roles"] if one["role"] == role)

    before = key_of("director")
    assert armillary("release", "keys", "recover", "director").code == 0
    assert key_of("director") != before
    armillary("release", "keys", "init", str(tmp_path / "k"), *passphrase, "--yes")
    before = key_of("director")
    waits = armillary("release", "keys", "recover", "director")
    assert (waits.code, key_of("director")) == (0, before)
    assert "targets" in waits.out.splitlines()[-1]
    assert armillary("release", "keys", "cancel", "--yes").code == 0
    done = armillary("release", "keys", "recover", "director", "--keys", str(tmp_path / "k"), *passphrase)
    assert (done.code, key_of("director") == before) == (0, False)


def test_people_sign_copies_of_their_own_and_no_signature_is_lost(
    armillary: Command, bare: Command, passphrase: list[str], tmp_path: Path
) -> None:
    """Both hold a key of root, one of them one of targets too: what one brings back is news of both roles."""
    alice, bob = tmp_path / "alice", tmp_path / "bob"
    for folder, name in ((alice, "root-1"), (bob, "root-2"), (bob, "targets-1")):
        assert bare("release", "keys", "new-key", str(folder), "--name", name, *passphrase).code == 0
    assert armillary("release", "keys", "rotate", "targets", "--key", str(bob / "targets-1.pub.pem")).code == 0
    first = tmp_path / "first.json"
    assert armillary("release", "keys", "export", str(first)).code == 0
    bare("release", "keys", "sign", str(first), "--keys", str(bob), *passphrase, "--yes")
    assert "Published." in armillary("release", "keys", "import", str(first)).err
    publics = ("--key", str(alice / "root-1.pub.pem"), "--key", str(bob / "root-2.pub.pem"))
    armillary("release", "keys", "rotate", "root", *publics, "--threshold", "2")
    files = [tmp_path / "of-alice.json", tmp_path / "of-bob.json"]
    for file, folder in zip(files, (alice, bob), strict=True):
        armillary("release", "keys", "export", str(file))
        assert bare("release", "keys", "sign", str(file), "--keys", str(folder), *passphrase, "--yes").code == 0
    assert "Not published yet" in armillary("release", "keys", "import", str(files[0])).err
    assert "Published." in armillary("release", "keys", "import", str(files[1])).err
    assert custody(armillary)["root"] == "offline 2 of 2"


def test_taking_keys_offline_goes_on_where_it_was_cut_short(
    armillary: Command, passphrase: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "ceremony"
    arguments = ("release", "keys", "init", str(keys), "--count", "2", *passphrase, "--yes")
    with monkeypatch.context() as without_answer:
        without_answer.setattr(release_keys, "_sign_and_submit", _no_answer)
        assert armillary(*arguments).code == 1
    made = {path.name: path.read_bytes() for path in keys.iterdir()}
    assert "root" in armillary("release", "keys", "show").out.splitlines()[-2]  # it waits
    (keys / "targets-2.pem").unlink()
    (keys / "targets-2.pub.pem").unlink()
    refused = armillary(*arguments)
    assert (refused.code, "still waits" in refused.err) == (1, True)  # another key than was proposed
    for name, content in made.items():
        (keys / name).write_bytes(content)
    done = armillary(*arguments)
    assert "Published." in done.err, done.err
    assert custody(armillary)["root"] == "offline 1 of 2"
    again = armillary(*arguments)
    assert (again.code, "has the keys in" in again.err) == (1, True)


def _no_answer(*_: object) -> None:
    raise ServiceUnreachableError("the service does not answer", remedy="Try again.")


@needs_softhsm
def test_keys_may_be_in_a_token(
    armillary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: RunningService
) -> None:
    address = make_token(tmp_path, "release-keys", monkeypatch)
    of_token = [
        "--pkcs11-module", str(address.module), "--pkcs11-token", address.token,
        "--pkcs11-pin-file", str(address.pin_file),
    ]  # fmt: skip
    done = armillary("release", "keys", "init", str(tmp_path / "card"), *of_token, "--yes")
    assert "Published." in done.err, done.err
    assert custody(armillary)["root"] == "offline 1 of 1"
    assert (tmp_path / "card" / "root-1.p11.json").exists()
    assert not (tmp_path / "card" / "root-1.pem").exists()
    half = armillary("release", "keys", "init", str(tmp_path / "c2"), *of_token[:2], "--yes")
    assert "all of them or none" in half.err


def test_mistakes_are_named(armillary: Command, passphrase: list[str], tmp_path: Path) -> None:
    no_key, no_metadata, deep = (tmp_path / name for name in ("no-key.json", "no-metadata.json", "deep.json"))
    no_key.write_text("{}")
    one = {"role": "root", "may_sign": [], "metadata": {}}
    no_metadata.write_text(json.dumps({"format": "armillary release metadata 1", "documents": [one]}))
    deep.write_text("[" * 100_000)
    for arguments, words in (
        (("rotate", "root", "--online", "1", "--threshold", "2"), "threshold from 1 to the number of its keys"),
        (("rotate", "timestamp", "--key", str(no_key)), "have to be online"),
        (("rotate", "root", "--key", str(no_key)), "public key in PEM"),
        (("rotate", "nobody", "--online", "1"), "no role 'nobody'"),
        (("import", str(no_key)), "another file"),
        (("import", str(no_metadata)), "another file"),
        (("import", str(deep)), "another file"),
        (("init", str(tmp_path / "x"), "--threshold", "2", *passphrase, "--yes"), "at most --count"),
        (("cancel", "--yes"), "nothing waits"),
        (("sign", str(no_key), "--keys", str(tmp_path / "none"), "--yes"), "another file"),
    ):
        ran = armillary("release", "keys", *arguments)
        assert (ran.code, words in ran.err) == (1, True), (arguments, ran.err)


def test_whose_signatures_are_missing_is_said_also_of_the_root_before(
    armillary: Command, bare: Command, passphrase: list[str], tmp_path: Path
) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    done = armillary("release", "keys", "init", str(before), "--count", "3", "--threshold", "2", *passphrase, "--yes")
    assert "Published." in done.err
    made = bare("release", "keys", "new-key", str(now), "--name", "root-anna", *passphrase, "--json").json
    waits = armillary("release", "keys", "rotate", "root", "--key", made["public_key"], "--json").json["waiting"][0]
    shown = armillary("release", "keys", "show", "--json").json
    old = {key["key_id"] for one in shown["roles"] if one["role"] == "root" for key in one["keys"]}
    assert waits["missing"] == 3
    assert [(one["missing"], set(one["key_ids"])) for one in waits["lacks"]] == [(2, old), (1, {made["key_id"]})]
    file = str(tmp_path / "metadata.json")
    armillary("release", "keys", "export", file)
    bare("release", "keys", "sign", file, "--keys", str(now), *passphrase, "--yes")
    armillary("release", "keys", "import", file)
    half = armillary("release", "keys", "show")
    assert f"2 of {', '.join(one[:8] for one in waits['lacks'][0]['key_ids'])}" in half.out + half.err
    bare("release", "keys", "sign", file, "--keys", str(before), *passphrase, "--yes")
    assert "Published." in armillary("release", "keys", "import", file).err
    nothing = armillary("release", "keys", "export", str(tmp_path / "none.json"))
    assert (nothing.code, "nothing waits" in nothing.err) == (1, True)
    assert not (tmp_path / "none.json").exists()
