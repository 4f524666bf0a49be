# SPDX-License-Identifier: Apache-2.0
"""Secure boot's keys are pairs: a certificate of another key is refused, and a start that was cut short leaves none."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.device_image.made_keys import put_pairs

from armillary.device_image import keys
from armillary.device_image.keys import NAMES, KeyPair, are_test_keys, keys_of, secure_boot_keys
from armillary.errors import InvalidArgumentError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of one build; calculating them takes a while."""
    folder = tmp_path_factory.mktemp("made") / "keys"
    secure_boot_keys(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "keys"))


def is_pair(pair: KeyPair) -> bool:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    return key.public_key() == x509.load_pem_x509_certificate(pair.certificate.read_bytes()).public_key()


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_keys_are_made_once_are_pairs_and_are_nobody_elses(folder: Path) -> None:
    before = contents(folder)
    assert before.keys() == {f"{name}.{end}" for name in NAMES for end in ("key", "pem")}
    for pair in secure_boot_keys(folder).values():
        assert is_pair(pair)
        assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert keys_of(folder) == secure_boot_keys(folder)
    assert contents(folder) == before


def other_key(folder: Path) -> None:
    """The certificate of another pair: both files are good, and of two builds."""
    shutil.copy(folder / "exchange.pem", folder / "signing.pem")


def locked(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    way = serialization.BestAvailableEncryption(b"secret")
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, way)
    (folder / "signing.key").write_bytes(text)


SLIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "of another key": (other_key, r"signing\.pem: expected the certificate of signing\.key, got that of another key"),
    "no key": (lambda folder: (folder / "signing.key").write_text(""), r"signing\.key: expected a private key in PEM"),
    "a key with a password": (locked, r"signing\.key: expected a private key in PEM, without a password"),
    "a certificate for a key": (
        lambda folder: shutil.copy(folder / "signing.pem", folder / "signing.key"),
        r"signing\.key: expected a private key in PEM",
    ),
    "no certificate": (
        lambda folder: (folder / "signing.pem").write_text("nothing"),
        r"signing\.pem: expected a certificate in PEM",
    ),
}


@pytest.mark.parametrize("take", [secure_boot_keys, keys_of])
@pytest.mark.parametrize(("change", "named"), SLIPS.values(), ids=SLIPS)
def test_what_is_no_pair_is_refused_and_stays(
    folder: Path, change: Callable[[Path], object], named: str, take: Callable[[Path], object]
) -> None:
    change(folder)
    before = contents(folder)
    with pytest.raises(InvalidArgumentError, match=named) as refused:
        take(folder)
    assert "Restore the file" in refused.value.remedy
    assert contents(folder) == before


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("left", [(), ("signing.key",), ("signing.pem",)], ids=["none", "a key", "a certificate"])
@pytest.mark.parametrize("steps", range(4))
def test_whenever_the_making_is_cut_short_the_next_build_has_a_pair(
    folder: Path, monkeypatch: pytest.MonkeyPatch, left: tuple[str, ...], steps: int
) -> None:
    """The files change in three steps: the key goes, the certificate comes, the key comes."""
    for name in {"signing.key", "signing.pem"} - set(left):
        (folder / name).unlink()
    done: list[str] = []

    def counted(plain: Callable[..., object], name: str) -> Callable[..., object]:
        def step(self: Path, *given: object, **named: object) -> object:
            if self.suffix != ".new" or name == "replace":
                if len(done) == steps:
                    raise Cut
                done.append(name)
            return plain(self, *given, **named)

        return step

    with monkeypatch.context() as patched:
        for name in ("unlink", "replace"):
            patched.setattr(Path, name, counted(getattr(Path, name), name))
        if steps < 3:
            with pytest.raises(Cut):
                secure_boot_keys(folder)
        else:
            secure_boot_keys(folder)
    assert done == ["unlink", "replace", "replace"][:steps]
    assert is_pair(secure_boot_keys(folder)["signing"])
    assert [*folder.glob("*.new")] == []


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("Acme {} key 2026", False),
        ("Acme ATTESTATION {} key", False),
        ("LATEST Acme {} key", False),
        ("Acme test {} key", False),
        ("Acme TEST {} key", True),
        ("Acme-DEVELOPMENT {} key", True),
    ],
)
def test_test_keys_are_those_whose_names_say_so(tmp_path: Path, called: str, said: bool) -> None:
    assert are_test_keys(put_pairs(tmp_path, called=called)) is said


@pytest.mark.parametrize("name", NAMES)
def test_one_test_key_makes_test_keys_of_all(folder: Path, tmp_path: Path, name: str) -> None:
    """Whoever has it has the firmware take what he signs."""
    keys = put_pairs(tmp_path / "own")
    assert not are_test_keys(keys)
    assert are_test_keys(keys | {name: secure_boot_keys(folder)[name]})
    assert are_test_keys(secure_boot_keys(tmp_path / "development", development=True))


def test_a_key_that_cannot_be_written_leaves_nothing_half_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _to: Path) -> None:
        raise OSError(28, "No space left on device")

    (folder / "signing.key").unlink()
    monkeypatch.setattr(keys.Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        secure_boot_keys(folder)
    assert [*folder.glob("*.new")] == []
