# SPDX-License-Identifier: Apache-2.0
"""The device's certificate store: Azure Sphere's rules, hostile files, and power cuts."""

from __future__ import annotations

import base64
import datetime as dt
import ssl
import subprocess
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tests.device.cut_flash import CutFlash, PowerCutError

from armillary.device.state import certificate_store
from armillary.device.state.certificate_store import (
    EMPTY_SPACE_BYTES,
    MAX_PART_BYTES,
    REGION,
    CertificateStore,
    StoredCertificate,
    read_certificate,
)
from armillary.device.state.request_refused import RequestRefusedError
from armillary.errors import DataFolderError
from armillary.wire.device import azure_error
from armillary.wire.encoding import cbor

CURVE = ec.generate_private_key(ec.SECP256R1())


def certificate(key: Any = CURVE, name: str = "test", filler: int = 0) -> str:
    """A self-signed certificate, PEM; ``filler`` bytes make it larger."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2036, 1, 1, tzinfo=dt.UTC))
    )
    if filler:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(filler))
        builder = builder.add_extension(extension, critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.PEM).decode()


def private(key: Any = CURVE, password: str | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def number_of(*arguments: Any) -> int:
    with pytest.raises(RequestRefusedError) as refused:
        read_certificate(*arguments)
    return refused.value.number


@pytest.mark.parametrize(
    "key", [CURVE, ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)], ids=["ec", "ed", "rsa"]
)
@pytest.mark.parametrize("password", [None, "secret"])
def test_a_client_certificate_has_its_key_encrypted_or_not(key: Any, password: str | None):
    found = read_certificate("client", certificate(key), private(key, password), password)
    assert found.key
    assert b"PRIVATE" not in found.pem
    assert found.key.hex() not in repr(found)


def test_each_broken_rule_has_its_number():
    good, key = certificate(), private()
    other = private(ec.generate_private_key(ec.SECP256R1()))
    assert number_of("root", good, None, None) == azure_error.CERTIFICATE_TYPE_INVALID
    for bad in ("", "garbage", good + good, key, good.replace("A", "\xe9"), good[: len(good) // 2]):
        assert number_of("rootca", bad, None, None) == azure_error.CERTIFICATE_INVALID
    assert number_of("rootca", "x" * (MAX_PART_BYTES + 1), None, None) == azure_error.CERTIFICATE_TOO_LONG
    assert number_of("rootca", good, key, None) == azure_error.KEY_NOT_ALLOWED
    assert number_of("rootca", good, None, "secret") == azure_error.PASSWORD_NOT_ALLOWED
    for bad in (None, "", "garbage", good):
        assert number_of("client", good, bad, None) == azure_error.KEY_INVALID
    assert number_of("client", good, "x" * (MAX_PART_BYTES + 1), None) == azure_error.PRIVATE_KEY_TOO_LONG
    assert number_of("client", good, other, None) == azure_error.KEY_OF_ANOTHER
    assert number_of("client", good, key, "secret") == azure_error.PASSWORD_NOT_NEEDED
    assert number_of("client", good, private(password="secret"), None) == azure_error.KEY_INVALID
    assert number_of("client", good, private(password="secret"), "other") == azure_error.KEY_INVALID
    assert number_of("client", good, key, "x" * 257) == azure_error.PASSWORD_TOO_LONG


def test_a_key_that_costs_hours_to_open_is_refused_unopened(tmp_path: Any):
    plain = tmp_path / "key.pem"
    plain.write_text(private())

    def encrypted(*how: str) -> str:
        command = ["openssl", "pkcs8", "-topk8", "-in", plain, "-passout", "pass:secret", *how]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert number_of("client", certificate(), encrypted("-scrypt"), "secret") == azure_error.KEY_INVALID
    cheap = encrypted("-iter", "100000")
    assert read_certificate("client", certificate(), cheap, "secret").key
    body = "".join(cheap.splitlines()[1:-1])
    costly = base64.b64decode(body).replace((100_000).to_bytes(3), (0x7FFFFF).to_bytes(3), 1)
    text = cheap.replace("".join(cheap.splitlines(keepends=True)[1:-1]), base64.encodebytes(costly).decode())
    assert text != cheap
    for given in (text, "Key: x\n" + text, certificate() + text, text + cheap):
        with pytest.raises(RequestRefusedError, match=r"rounds|whole text"):
            read_certificate("client", certificate(), given, "secret")


def test_a_giant_key_is_refused_before_it_is_checked():
    giant = rsa.generate_private_key(65537, 5120)
    assert number_of("client", certificate(giant), private(giant), None) == azure_error.CERTIFICATE_INVALID
    assert number_of("client", certificate(), private(giant), None) == azure_error.KEY_OF_ANOTHER


def rsa_file(*numbers: int) -> str:
    """An RSA key of exactly these numbers (RFC 8017 A.1.2), whether they fit or not."""

    def value(tag: int, content: bytes) -> bytes:
        size = len(content)
        width = 0 if size < 0x80 else 1 if size < 0x100 else 2
        return bytes([tag]) + (bytes([0x80 | width]) + size.to_bytes(width) if width else bytes([size])) + content

    integers = (value(2, each.to_bytes(each.bit_length() // 8 + 1)) for each in (0, *numbers))
    body = base64.encodebytes(value(0x30, b"".join(integers))).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\n"


def test_numbers_that_are_no_key_are_refused_before_anybody_looks_for_primes(monkeypatch: pytest.MonkeyPatch):
    """A small file with one long number would keep the whole device busy for minutes."""
    made = rsa.generate_private_key(65537, 2048)
    key = made.private_numbers()
    n, e = key.public_numbers.n, key.public_numbers.e
    right = (n, e, key.d, key.p, key.q, key.dmp1, key.dmq1, key.iqmp)
    assert read_certificate("client", certificate(made), rsa_file(*right), None).key
    monkeypatch.setattr(certificate_store, "load_der_private_key", lambda *_: pytest.fail("it looked for primes"))
    long = (1 << 20_000) + 1
    for place in range(2, len(right)):
        wrong = (*right[:place], long, *right[place + 1 :])
        assert number_of("client", certificate(made), rsa_file(*wrong), None) == azure_error.KEY_INVALID, place
    near = (*right[:3], key.p + 2, *right[4:])
    assert number_of("client", certificate(made), rsa_file(*near), None) == azure_error.KEY_INVALID


def test_ids_are_of_the_whole_device_and_a_new_certificate_replaces_the_one_before():
    flash = CutFlash()
    store, root = CertificateStore(flash), read_certificate("rootca", certificate(), None, None)
    for name in ("a", "A.b_c-9", "x" * 16):
        store.add(name, root)
    for name in ("", "a b", "a/b", "..\\x", "é", "a$"):
        with pytest.raises(RequestRefusedError) as refused:
            store.add(name, root)
        assert refused.value.number == azure_error.CERTIFICATE_ID_INVALID
    with pytest.raises(RequestRefusedError) as refused:
        store.add("x" * 17, root)
    assert refused.value.number == azure_error.CERTIFICATE_ID_TOO_LONG
    other = read_certificate("rootca", certificate(name="other"), None, None)
    store.add("a", other)
    assert CertificateStore(flash).get("a").certificate == other.certificate
    assert CertificateStore(flash).identifiers == ("A.b_c-9", "a", "x" * 16)


def test_the_store_has_24_kib_and_says_what_is_left():
    store = CertificateStore(CutFlash())
    assert store.available_bytes == EMPTY_SPACE_BYTES == 24_514
    large = read_certificate("rootca", certificate(filler=5000), None, None)
    for name in ("one", "two", "three"):
        store.add(name, large)
    assert store.available_bytes == EMPTY_SPACE_BYTES - 3 * len(large.pem) - len("onetwothree")
    with pytest.raises(RequestRefusedError) as refused:
        store.add("four", large)
    assert refused.value.number == azure_error.STORE_FULL
    assert store.identifiers == ("one", "three", "two")
    store.add("two", large)  # in its own place there is room
    store.remove("two")
    store.add("four", large)
    with pytest.raises(RequestRefusedError) as refused:
        store.remove("two")
    assert refused.value.number == azure_error.CERTIFICATE_UNKNOWN


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_at_any_operation_leaves_the_old_or_the_new_store(seed: int):
    first = CutFlash()
    old, new = (read_certificate("rootca", certificate(name=name), None, None) for name in ("old", "new"))
    CertificateStore(first).add("it", old)

    def change(flash: CutFlash) -> None:
        store = CertificateStore(flash)
        store.add("it", new)
        store.add("more", new)
        store.remove("more")

    whole = CutFlash(first.durable)
    change(whole)
    seen: set[str] = set()
    for cut in range(1, whole.operations + 1):
        flash = CutFlash(first.durable, cut_at=cut, seed=seed)
        with pytest.raises(PowerCutError):
            change(flash)
        after = CertificateStore(CutFlash(flash.durable))
        assert after.identifiers in (("it",), ("it", "more"))
        found: StoredCertificate = after.get("it")
        assert found.certificate in (old.certificate, new.certificate)
        seen.add("old" if found.certificate == old.certificate else "new")
        again = CutFlash(flash.durable)
        change(again)
        assert CertificateStore(again).identifiers == ("it",)
    assert seen == {"old", "new"}


def with_unreadable_name(kind: str = "subject") -> str:
    """A certificate whose subject or issuer is a UTF8String that is no UTF-8: the library finds it when it is asked."""
    der = bytearray(x509.load_pem_x509_certificate(certificate(name="abcdef").encode()).public_bytes(Encoding.DER))
    at = (der.rindex if kind == "subject" else der.index)(b"\x0c\x06abcdef")
    der[at + 5 : at + 7] = b"\xff\xfe"
    return ssl.DER_cert_to_PEM_cert(bytes(der))


@pytest.mark.parametrize("kind", ["subject", "issuer"])
def test_a_certificate_whose_name_nobody_can_read_is_refused(kind: str):
    odd = with_unreadable_name(kind)
    for arguments in (("client", odd, private(), None), ("rootca", odd, None, None)):
        with pytest.raises(RequestRefusedError, match="is no PEM") as refused:
            read_certificate(*arguments)
        assert refused.value.number == azure_error.CERTIFICATE_INVALID


def test_one_that_an_older_version_took_is_said_and_can_be_deleted_and_the_others_are_read():
    flash = CutFlash()
    store = CertificateStore(flash)
    store.add("good", read_certificate("rootca", certificate(), None, None))
    good = cbor.decode(flash.read(REGION) or b"", what="store", limit=1 << 16)[2]["good"]
    kept = {"odd": ["client", with_unreadable_name().encode(), b"key"], "good": good, "cut": ["rootca", b"--", b""]}
    flash = CutFlash({REGION: cbor.encode({1: 1, 2: kept})})
    store = CertificateStore(flash)
    assert store.identifiers == ("cut", "good", "odd")
    assert store.get("good").kind == "rootca"
    for name in ("odd", "cut"):
        with pytest.raises(RequestRefusedError, match=f"'{name}' of the store cannot be read") as refused:
            store.get(name)
        assert refused.value.number == azure_error.CERTIFICATE_INVALID
        store.remove(name)
    assert CertificateStore(flash).identifiers == ("good",)


def test_a_damaged_store_is_an_error_that_says_where():
    for data in (b"", b"\x00", b"\xa2\x01\x01\x02\xa1\x61a\x01"):
        with pytest.raises(DataFolderError, match="damaged"):
            CertificateStore(CutFlash({REGION: data})).identifiers  # noqa: B018
