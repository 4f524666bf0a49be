# SPDX-License-Identifier: Apache-2.0
"""Keys in files: encrypted, upgraded in place whatever is cut, one clear error for a wrong passphrase."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.certificates import private_pem

from armillary.engines import durable as files
from armillary.engines.signer import access, file as engine, passphrase as passphrases
from armillary.engines.signer.file import FileSigners, open_folder
from armillary.engines.signer.passphrase import PassphraseSource
from armillary.engines.signer.port import SignerKey
from armillary.errors import DataFolderError, KeyPassphraseError
from armillary.wire.certificates import certificate as profile
from armillary.wire.certificates.crl import build_revocation_list

NAMES = ("catalog-01", "issuing-02", "os-signing", "root")


def chosen(name: str) -> bool:
    return name != "server"


def beside(folder: Path) -> PassphraseSource:
    return PassphraseSource("", folder.with_name("data.passphrase"), generated=True)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    return folder


def plain_folder(keys: Path) -> dict[str, bytes]:
    """A keys folder as versions before encryption made it; returns the public keys."""
    made = {}
    for name in (*NAMES, "server"):
        key = ec.generate_private_key(ec.SECP384R1() if name == "root" else ec.SECP256R1())
        path = keys / f"{name}.pem"
        path.write_bytes(private_pem(key))
        path.chmod(0o600)
        made[name] = public(key)
    return made


def public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def heads(keys: Path) -> dict[str, str]:
    return {path.stem: path.read_text().splitlines()[0].strip("-") for path in keys.glob("*.pem")}


def test_a_new_key_is_encrypted_and_found_again(keys: Path) -> None:
    made = open_folder(keys, beside(keys), encrypted=chosen).create("root", ec.SECP384R1())
    assert heads(keys) == {"root": "BEGIN ENCRYPTED PRIVATE KEY"}
    again = open_folder(keys, beside(keys), encrypted=chosen)
    assert public(again.load("root")) == public(made)
    secret = made.private_numbers().private_value.to_bytes(48, "big")
    everything = b"".join(path.read_bytes() for path in keys.iterdir())
    assert secret not in everything
    assert secret.hex().encode() not in everything
    for path in (*keys.iterdir(), keys.with_name("data.passphrase")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_plain_folder_is_encrypted_in_place(keys: Path) -> None:
    made = plain_folder(keys)
    opened = open_folder(keys, beside(keys), encrypted=chosen)
    assert heads(keys) == {**dict.fromkeys(NAMES, "BEGIN ENCRYPTED PRIVATE KEY"), "server": "BEGIN PRIVATE KEY"}
    assert {name: public(opened.load(name)) for name in made} == made
    assert not list(keys.glob("*.partial"))


class Cut(BaseException):
    """The machine stops here."""


@pytest.mark.parametrize("durable", [False, True])
def test_an_upgrade_that_is_cut_anywhere_loses_no_key_and_is_finished_later(
    keys: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    """Cut before each write, and after it: a folder that starts afterwards has every key, and none is plain."""
    genuine, count = files.write_file, 0
    while True:
        for path in (*keys.iterdir(), *keys.parent.glob("*.passphrase")):
            path.unlink()
        made, left = plain_folder(keys), [count]

        def write(path: Path, content: bytes, *, mode: int, left: list[int] = left) -> None:
            if left[0] == 0 and not durable:
                raise Cut
            genuine(path, content, mode=mode)
            if left[0] == 0:
                raise Cut
            left[0] -= 1

        with monkeypatch.context() as patch:
            patch.setattr(engine, "write_file", write)
            patch.setattr(passphrases, "write_file", write)
            try:
                open_folder(keys, beside(keys), encrypted=chosen)
                done = True
            except Cut:
                done = False
        opened = open_folder(keys, beside(keys), encrypted=chosen)
        assert {name: public(opened.load(name)) for name in made} == made
        assert {head for name, head in heads(keys).items() if name != "server"} == {"BEGIN ENCRYPTED PRIVATE KEY"}
        if done:
            break
        count += 1
    assert count == 2 + len(NAMES)  # passphrase, protection, keys


def test_a_wrong_passphrase_is_one_error_with_a_remedy(keys: Path) -> None:
    source = PassphraseSource("correct horse battery", Path("unused"), generated=False)
    open_folder(keys, source, encrypted=chosen).create("root", ec.SECP384R1())
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    for wrong in ("correct horse batterz", "correct horse battery "):
        with pytest.raises(KeyPassphraseError) as refused:
            open_folder(keys, PassphraseSource(wrong, Path("unused"), generated=False), encrypted=chosen)
        assert refused.value.code == "host.key-passphrase"
        assert "ARMILLARY_KEY_PASSPHRASE_FILE" in refused.value.remedy
        assert wrong not in refused.value.message
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    open_folder(keys, source, encrypted=chosen).load("root")


def test_a_passphrase_that_is_gone_is_not_made_anew(keys: Path) -> None:
    open_folder(keys, beside(keys), encrypted=chosen).create("root", ec.SECP384R1())
    beside(keys).file.unlink()
    with pytest.raises(KeyPassphraseError, match="cannot be read"):
        open_folder(keys, beside(keys), encrypted=chosen)
    assert not beside(keys).file.exists()


@pytest.mark.parametrize(
    ("content", "mode"),
    [(b"", 0o600), (b"short\n", 0o600), (b"\xff" * 20, 0o600), (b"x" * 2000, 0o600), (b"x" * 20, 0o644)],
)
def test_an_unusable_passphrase_file_is_refused(keys: Path, content: bytes, mode: int) -> None:
    file = keys.with_name("given")
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(KeyPassphraseError):
        open_folder(keys, PassphraseSource("", file, generated=False), encrypted=chosen)
    assert not list(keys.iterdir())


@pytest.mark.parametrize(
    ("mode", "owner", "fault"),
    [
        (0o600, 1000, ""),
        (0o400, 0, ""),
        (0o640, 1000, "can be read by other users"),
        (0o600, 1001, "belongs to another user"),
    ],
)
def test_a_secret_that_somebody_else_put_there_is_none(
    mode: int, owner: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generated passphrase lies beside the data folder, where others may be allowed to make files."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert access.access_fault(os.stat_result((0o100000 | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))) == fault


def test_a_passphrase_of_another_user_is_refused(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = beside(keys)
    source.make()
    monkeypatch.setattr(access, "access_fault", lambda _: "belongs to another user")
    with pytest.raises(KeyPassphraseError, match="another user"):
        open_folder(keys, source, encrypted=chosen)


def test_what_lies_where_a_secret_is_written_first_is_not_written_to(tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.write_bytes(b"")
    place = tmp_path / f"secret.{threading.get_ident()}{files.PARTIAL_SUFFIX}"
    place.symlink_to(others)
    with place.open("rb") as open_already:
        files.write_file(tmp_path / "secret", b"secret", mode=0o600)
        assert (open_already.read(), others.read_bytes()) == (b"", b"")
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert not (tmp_path / "secret").is_symlink()


def test_a_persons_passphrase_costs_more_than_a_random_one(keys: Path) -> None:
    open_folder(keys, PassphraseSource("correct horse battery", Path("unused"), generated=False), encrypted=chosen)
    document = json.loads((keys / "protection.json").read_bytes())
    assert (document["kdf"], document["n"], document["r"], document["p"]) == ("scrypt", 1 << 14, 8, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 1 << 30},
        {"n": 1000},
        {"n": 0},
        {"r": 1 << 20},
        {"version": 2},
        {"kdf": "md5"},
        {"salt": "zz"},
        {"p": None},
        {"n": 1 << 20, "r": 32},  # each within its limit, together 4 GiB
        {"check": "é"},
    ],
)
def test_a_protection_file_that_was_tampered_with_is_refused(keys: Path, change: dict[str, object]) -> None:
    open_folder(keys, beside(keys), encrypted=chosen)
    path = keys / "protection.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    with pytest.raises(DataFolderError):
        open_folder(keys, beside(keys), encrypted=chosen)


def test_reprs_say_nothing_secret(keys: Path) -> None:
    source = PassphraseSource("correct horse battery", Path("unused"), generated=False)
    opened = open_folder(keys, source, encrypted=chosen)
    assert "horse" not in repr(source) + repr(opened) + str(opened)


def test_damaged_and_foreign_key_files_are_explained(keys: Path) -> None:
    opened = open_folder(keys, beside(keys), encrypted=chosen)
    opened.create("root", ec.SECP384R1())
    whole = (keys / "root.pem").read_bytes()
    for damage in (b"", whole[: len(whole) // 2], os.urandom(64)):
        (keys / "root.pem").write_bytes(damage)
        with pytest.raises(DataFolderError) as refused:
            FileSigners(keys, opened._password).load("root")
        assert refused.value.remedy


class Counting:
    """A signer that is no file: what a builder of certificates must be content with."""

    def __init__(self, curve: ec.EllipticCurve) -> None:
        self._key = ec.generate_private_key(curve)
        self.signed = 0

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, message: bytes) -> bytes:
        self.signed += 1
        return self._key.sign(
            message, ec.ECDSA(hashes.SHA384() if self._key.curve.key_size == 384 else hashes.SHA256())
        )


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_certificates_and_lists_are_built_with_any_signer(curve: ec.EllipticCurve) -> None:
    signer = Counting(curve)
    key = SignerKey(signer)
    root = profile.build_root_authority(key, name="Root", serial=1, not_before=0, not_after=100)
    root.verify_directly_issued_by(root)
    der = build_revocation_list(root, key, number=1, this_update=0, next_update=1, revoked=[])
    assert x509.load_der_x509_crl(der).is_signature_valid(root.public_key())  # type: ignore[arg-type]
    assert signer.signed == 2
    for take_out in (
        key.private_numbers,
        lambda: private_pem(key),
        lambda: key.exchange(ec.ECDH(), key.public_key()),
    ):
        with pytest.raises(TypeError):
            take_out()
    with pytest.raises(ValueError, match="expected"):
        key.sign(b"x", ec.ECDSA(hashes.SHA512()))
