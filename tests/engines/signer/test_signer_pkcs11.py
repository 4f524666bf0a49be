# SPDX-License-Identifier: Apache-2.0
"""Keys in a PKCS #11 token (SoftHSM): made there, used there, not to be taken out; errors that say what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.engines.softhsm import make_token, needs_softhsm

from armillary.engines.signer.pkcs11 import TokenAddress, TokenSigners
from armillary.engines.signer.port import HASHES, SignerKey
from armillary.errors import DataFolderError, SignerError
from armillary.service.authority.key_store import KeyStore
from armillary.settings import Settings
from armillary.sim.device.service_host import ServiceHost

pytestmark = needs_softhsm


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenAddress:
    return make_token(tmp_path, f"t-{uuid4().hex[:12]}", monkeypatch)


@pytest.fixture
def signers(tmp_path: Path, token: TokenAddress) -> Iterator[TokenSigners]:
    opened = TokenSigners(tmp_path, token)
    yield opened
    opened.close()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_a_key_signs_in_the_token_and_is_found_again(
    tmp_path: Path, token: TokenAddress, signers: TokenSigners, curve: ec.EllipticCurve
) -> None:
    made = signers.create("root", curve)
    again = TokenSigners(tmp_path, token).load("root")
    for signer in (made, again):
        signature = signer.sign(b"message")
        made.public_key.verify(signature, b"message", ec.ECDSA(HASHES[curve.name]()))
    assert made.public_key == again.public_key
    assert json.loads((tmp_path / "root.p11.json").read_text())["token"] == token.token


def test_the_private_key_cannot_be_taken_out(tmp_path: Path, signers: TokenSigners) -> None:
    import pkcs11  # noqa: PLC0415 - an extra

    made = signers.create("root", ec.SECP384R1())

    def attempt(library: object, session: object) -> tuple[object, object, object]:
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=made._id)  # type: ignore[attr-defined]
        with pytest.raises(pkcs11.AttributeSensitive):
            _ = key[pkcs11.Attribute.VALUE]
        return tuple(
            key[one]
            for one in (pkcs11.Attribute.EXTRACTABLE, pkcs11.Attribute.SENSITIVE, pkcs11.Attribute.ALWAYS_SENSITIVE)
        )

    assert signers._use(attempt) == (False, True, True)
    with pytest.raises(TypeError):
        SignerKey(made).private_numbers()


def test_what_is_wrong_is_said(tmp_path: Path, token: TokenAddress, signers: TokenSigners) -> None:
    signers.create("root", ec.SECP384R1())
    wrong_pin = tmp_path / "wrong"
    wrong_pin.write_text("not the pin")
    wrong_pin.chmod(0o600)
    open_pin = tmp_path / "open"
    open_pin.write_text("x")
    open_pin.chmod(0o644)
    for changed, words in (
        ({"token": "no-such-token"}, "no-such-token"),
        ({"pin_file": wrong_pin}, "does not take the PIN"),
        ({"pin_file": open_pin}, "other users"),
        ({"pin_file": tmp_path / "missing"}, "cannot be read"),
        ({"module": tmp_path / "missing.so"}, "refuses"),
    ):
        signers.close()
        other = TokenSigners(tmp_path, replace(token, **changed))
        with pytest.raises(SignerError, match=words) as refused:
            other.create("another", ec.SECP384R1())
        assert refused.value.code == "host.signer"
        assert refused.value.remedy
        assert "not the pin" not in refused.value.message
    assert not (tmp_path / "another.p11.json").exists()
    (tmp_path / "root.p11.json").write_text("{}")
    with pytest.raises(DataFolderError):
        signers.load("root")


def test_a_pin_that_was_refused_is_not_tried_again(
    tmp_path: Path, token: TokenAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token locks itself after a few wrong PINs (PKCS #11 2.40 §5.6, CKR_PIN_LOCKED), and a renewal asks for each
    catalog."""
    pin = token.pin_file.read_text()
    token.pin_file.write_text("not the pin")
    signers, asked = TokenSigners(tmp_path, token), []
    opened = TokenSigners._opened

    def counted(self: TokenSigners, pkcs11: object, pin: str) -> object:
        asked.append(1)
        return opened(self, pkcs11, pin)  # type: ignore[arg-type]

    monkeypatch.setattr(TokenSigners, "_opened", counted)
    for _ in range(5):
        with pytest.raises(SignerError, match="does not take the PIN"):
            signers.create("root", ec.SECP384R1())
    assert len(asked) == 1
    token.pin_file.write_text(pin)
    signers.create("root", ec.SECP384R1())  # another PIN is tried at once
    signers.close()


def test_a_key_that_the_token_lost_is_said_so(tmp_path: Path, signers: TokenSigners) -> None:
    import pkcs11  # noqa: PLC0415 - an extra

    made = signers.create("root", ec.SECP384R1())
    signers._use(
        lambda _, session: [
            session.get_key(object_class=kind, id=made._id).destroy()
            for kind in (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY)
        ]
    )
    with pytest.raises(SignerError, match="lost"):
        made.sign(b"message")


def pkcs11_settings(token: TokenAddress) -> dict[str, str]:
    return {
        "pkcs11_module": str(token.module),
        "pkcs11_token": token.token,
        "pkcs11_pin_file": str(token.pin_file),
    }


def test_a_service_keeps_root_policy_and_catalogs_in_the_token(tmp_path: Path, token: TokenAddress) -> None:
    options = pkcs11_settings(token)
    with ServiceHost(tmp_path / "data", **options) as host:
        host.catalog()
        with host.claimed(b"a" * 32) as device:
            leaf, issuing, catalog = device.check_in().certificate_chain[:3]
        keys = host.service.context.folder.keys
        in_token = {path.name.partition("-")[0].partition(".")[0] for path in keys.glob("*.p11.json")}
        assert {"root", "catalog", "tuf"} <= in_token <= {"root", "policy", "catalog", "tuf"}
        assert sorted(path.name for path in keys.glob("tuf-*.p11.json")) == [
            "tuf-root-1.p11.json", "tuf-targets-1.p11.json",
        ]  # fmt: skip
        assert not list(keys.glob("tuf-root-*.pem"))
        assert not list(keys.glob("root*.pem"))
        assert not list(keys.glob("catalog-*.pem"))
        assert len(list(keys.glob("issuing-*.pem"))) == 1
        chain = [x509.load_der_x509_certificate(der) for der in (leaf, issuing, catalog)]
        chain[0].verify_directly_issued_by(chain[1])
        chain[1].verify_directly_issued_by(chain[2])
        catalog_id = host.service.registry.catalogs.get("Contoso").catalog_id
        assert host.service.authority.revocation_lists.of_catalog(catalog_id)  # signed in the token too
    with ServiceHost(tmp_path / "data", **options) as host:  # and it is all found again
        host.catalog("Fabrikam")


def test_while_the_token_is_away_devices_check_in_and_nothing_else_is_signed(
    tmp_path: Path, token: TokenAddress
) -> None:
    with ServiceHost(tmp_path / "data", **pkcs11_settings(token)) as host:
        host.catalog()
        device = host.claimed(b"a" * 32)
    pin = token.pin_file.read_text()
    token.pin_file.write_text("another pin\n")
    with ServiceHost(tmp_path / "data", **pkcs11_settings(token)) as host:
        device.port, device.challenge = host.service.device_address.port, b""
        with device:
            assert device.check_in().verdict == "attested"
        with pytest.raises(SignerError, match="PIN"):
            host.catalog("Fabrikam")
        assert host.service.repository.publish(lambda step: step.next("os"))  # timestamp and all that devices live by
        assert not host.service.repository.publish(lambda step: step.next("root"))
        assert list(host.service.repository.files.pending()) == ["root"]
        assert [one.name for one in host.service.registry.catalogs.list()] == ["Contoso"]
        token.pin_file.write_text(pin)
        host.catalog("Fabrikam")
        assert host.service.repository.publish()  # what waited for the token is signed by it
        assert host.service.repository.files.newest_root() == 2


def test_a_folder_with_keys_in_files_keeps_them_there(tmp_path: Path, token: TokenAddress) -> None:
    with ServiceHost(tmp_path / "data") as host:
        host.catalog()
        root = host.service.authority.roots.certificate
    with ServiceHost(tmp_path / "data", **pkcs11_settings(token)) as host:
        assert host.service.authority.roots.certificate == root
        host.catalog("Fabrikam")  # its authority is made in the token, signed by a root in a file
        keys = host.service.context.folder.keys
        assert (keys / "root.pem").exists()
        assert len(list(keys.glob("catalog-*.p11.json"))) == 1
        assert KeyStore(keys, Settings(data=tmp_path / "data", **pkcs11_settings(token))).load("root")
