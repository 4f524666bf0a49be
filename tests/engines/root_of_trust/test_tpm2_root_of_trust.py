# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import sys
import time
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.engines.swtpm import SwTpm, needs_tpm, software_tpm
from tests.fixtures.certificates import private_pem
from tests.wire.tpm_samples import attest, new_key, public_of, quote_body

from armillary.attest import tpm_enrolment
from armillary.engines.root_of_trust import tpm_commands
from armillary.engines.root_of_trust.selection import create_root_of_trust, open_root_of_trust
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust
from armillary.engines.root_of_trust.tpm_memory import FIRST_INDEX, bytes_of, trust_of
from armillary.errors import AppraisalError, InvalidArgumentError, RootOfTrustError, SignatureError, WireError
from armillary.identity.device_id import device_id_bytes
from armillary.wire.attestation import tpm_attestation
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.attestation.evidence import parse_endorsement
from armillary.wire.attestation.tpm_public import (
    ATTESTATION,
    IDENTITY,
    NO_DA,
    SENSITIVE_DATA_ORIGIN,
    SIGN,
    USER_WITH_AUTH,
    parse_public,
)
from armillary.wire.attestation.tpm_structure import sized
from armillary.wire.encoding import cose

SERVICE_KEY = b"k" * 32
EVENTS = [BootEvent(f"Stage{n}", n, UUID(int=n), UUID(int=100 + n), sha256(bytes((n,))).digest(), 1) for n in (1, 2, 3)]


def attestation_key(root: Tpm2RootOfTrust) -> ec.EllipticCurvePublicKey:
    return cose.public_key(parse_public(root._file.attestation.public, ATTESTATION).point)


@needs_tpm
def test_a_device_is_the_same_after_it_is_opened_again(root: Tpm2RootOfTrust, tmp_path: Path):
    again = open_root_of_trust("tpm2", tmp_path / "root")
    assert again.device_id == root.device_id
    assert (again.kind, again.tier, again.boot_count) == ("tpm2", "tpm", 0)
    assert (tmp_path / "root" / "tpm.json").stat().st_mode & 0o777 == 0o600


@needs_tpm
def test_boots_are_counted_by_the_tpm_whatever_becomes_of_the_files(root: Tpm2RootOfTrust, tmp_path: Path):
    copy = (tmp_path / "root" / "tpm.json").read_bytes()
    first = root.begin_boot(EVENTS).boot_count
    assert root.begin_boot(EVENTS).boot_count == first + 1
    (tmp_path / "root" / "tpm.json").write_bytes(copy)  # an old copy of the disk
    restored = Tpm2RootOfTrust.open(tmp_path / "root")
    assert restored.boot_count == first + 1
    assert restored.begin_boot(EVENTS).boot_count == first + 2


@needs_tpm
def test_a_device_that_was_given_up_leaves_its_place(root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path):
    """Before it ever started; what stays of one that did is in test_tpm2_owner.py."""
    root.give_up()
    assert Tpm2RootOfTrust.create(tmp_path / "other", tpm=tpm.tcti)._file.counter == root._file.counter


@needs_tpm
def test_a_device_whose_counter_was_deleted_by_hand_leaves_no_lower_count(
    root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path
):
    last = root.begin_boot(EVENTS).boot_count
    with tpm_commands.connect(tpm.tcti) as commands:
        commands.nv.remove(root._file.counter)
    other = Tpm2RootOfTrust.create(tmp_path / "other", tpm=tpm.tcti)
    assert other._file.counter == root._file.counter
    assert other.begin_boot(EVENTS).boot_count > last  # a counter that is made anew starts above every earlier one


@needs_tpm
def test_the_quote_covers_the_evidence_and_the_boot_events(root: Tpm2RootOfTrust):
    session = root.begin_boot(EVENTS)
    assert session.quote is not None
    quote = tpm_attestation.parse_attestation(session.quote(b"evidence"))
    asked = {"nonce": tpm_attestation.quote_nonce(b"evidence"), "pcrs": (23,)}
    digest = tpm_attestation.pcr_digest([session.log_head])
    key = attestation_key(root)
    tpm_attestation.verify_quote(quote, key, **asked, pcr_digest=digest)
    with pytest.raises(WireError, match="nonce"):
        tpm_attestation.verify_quote(quote, key, nonce=b"", pcrs=(23,), pcr_digest=digest)
    with pytest.raises(SignatureError):
        tpm_attestation.verify_quote(quote, new_key().public_key(), **asked, pcr_digest=digest)
    other = root.begin_boot(EVENTS[:2])
    assert other.quote is not None
    changed = tpm_attestation.parse_attestation(other.quote(b"evidence"))
    with pytest.raises(WireError, match="PCR digest"):
        tpm_attestation.verify_quote(changed, key, **asked, pcr_digest=digest)


@needs_tpm
def test_the_attestation_key_signs_no_quote_that_software_wrote(root: Tpm2RootOfTrust, tpm: SwTpm):
    """Whoever is root on the device asks the TPM itself for the forgery: a restricted key refuses it."""
    forged = attest(tpm_attestation.ATTEST_QUOTE, b"nonce", quote_body(bytes(32), 23))
    with tpm_commands.connect(tpm.tcti) as commands:
        commands.sign(root._file.identity, sha256(forged).digest())  # positive control: an unrestricted key would
    with pytest.raises(RootOfTrustError, match="ticket"), tpm_commands.connect(tpm.tcti) as commands:
        commands.sign(root._file.attestation, sha256(forged).digest())


@needs_tpm
def test_the_identity_key_endorses_a_new_alias_key_for_each_boot(root: Tpm2RootOfTrust):
    one, other = root.begin_boot(EVENTS), root.begin_boot(EVENTS)
    assert one.alias_key != other.alias_key
    for session in (one, other):
        endorsement = parse_endorsement(session.endorsement)
        cose.verify_sign1(endorsement.message, cose.public_key(device_id_bytes(root.device_id)))
        assert endorsement.claims.log_head == session.log_head


@needs_tpm
def test_the_certificate_request_is_signed_by_the_tpm(root: Tpm2RootOfTrust):
    request = x509.load_pem_x509_csr(root.certificate_request())
    assert request.is_signature_valid
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert cose.point_of(key).hex() == root.device_id


@needs_tpm
def test_enrolment_holds_from_the_makers_certificate_to_the_identity_key(root: Tpm2RootOfTrust, tpm: SwTpm):
    now = int(time.time())
    claim = root.claim()
    checked = tpm_enrolment.examine(claim, [tpm.issuer], now=now)
    assert checked.endorsement.manufacturer == "id:00001014"
    question = tpm_enrolment.ask(checked, SERVICE_KEY, chip="imx8mp", now=now, seed=b"s" * 32, ephemeral=new_key())
    secret = root.activate(question.credential.blob, question.credential.encrypted_seed)
    answer = {"chip": "imx8mp", "expires_at": question.expires_at, "now": now}
    tpm_enrolment.check_answer(checked, SERVICE_KEY, **answer, answer=secret)
    with pytest.raises(AppraisalError):
        tpm_enrolment.check_answer(checked, SERVICE_KEY, **answer, answer=secret[::-1])


@needs_tpm
def test_a_credential_for_another_name_is_not_opened_by_the_tpm(root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path):
    now = int(time.time())
    checked = tpm_enrolment.examine(root.claim(), [tpm.issuer], now=now)
    question = tpm_enrolment.ask(checked, SERVICE_KEY, chip="imx8mp", now=now, seed=b"s" * 32, ephemeral=new_key())
    other = Tpm2RootOfTrust.create(tmp_path / "other", tpm=tpm.tcti)
    root.activate(question.credential.blob, question.credential.encrypted_seed)  # positive control: same TPM, same EK
    with pytest.raises(RootOfTrustError, match="integrity"):
        other.activate(question.credential.blob, question.credential.encrypted_seed)


@needs_tpm
def test_a_p256_endorsement_key_opens_its_credential_too(root: Tpm2RootOfTrust, tpm: SwTpm):
    """swtpm has no certificate for a P-256 EK, but it has the key: TPM2_MakeCredential's other branch on a real TPM."""
    from tpm2_pytss import ESAPI, ESYS_TR, TPM2B_PUBLIC  # noqa: PLC0415 - an optional extra

    from armillary.attest.tpm_credential import make_credential  # noqa: PLC0415
    from armillary.wire.attestation.tpm_public import ENDORSEMENT  # noqa: PLC0415

    with ESAPI(tpm.tcti) as esapi:
        template = TPM2B_PUBLIC.unmarshal(tpm_commands.EC_TEMPLATE)[0]
        handle, public, *_ = esapi.create_primary(None, template, ESYS_TR.ENDORSEMENT)
        esapi.flush_context(handle)
    key = parse_public(public.marshal(), ENDORSEMENT).key
    name = parse_public(root._file.attestation.public, ATTESTATION).name
    credential = make_credential(key, name, b"x" * 32, seed=bytes(32), ephemeral=new_key())
    with pytest.MonkeyPatch.context() as patch, tpm_commands.connect(tpm.tcti) as commands:
        patch.setattr(tpm_commands, "RSA_TEMPLATE", tpm_commands.EC_TEMPLATE)
        assert commands.activate(root._file.attestation, credential.blob, credential.encrypted_seed) == b"x" * 32


def duplicate(tpm: SwTpm, key: tpm_commands.Key) -> bytes:
    """TPM2_Duplicate, the only command by which a private key leaves a TPM, with the authorisation it asks for."""
    from tpm2_pytss import (  # noqa: PLC0415 - an optional extra
        ESAPI,
        ESYS_TR,
        TPM2_ALG,
        TPM2_CC,
        TPM2_SE,
        TPM2B_DATA,
        TPM2B_PRIVATE,
        TPM2B_PUBLIC,
        TPMT_SYM_DEF_OBJECT,
    )

    with ESAPI(tpm.tcti) as esapi:
        template = TPM2B_PUBLIC.unmarshal(tpm_commands.STORAGE_TEMPLATE)[0]
        parent, *_ = esapi.create_primary(None, template, ESYS_TR.OWNER)
        handle = esapi.load(parent, TPM2B_PRIVATE.unmarshal(key.private)[0], TPM2B_PUBLIC.unmarshal(key.public)[0])
        session = esapi.start_auth_session(ESYS_TR.NONE, ESYS_TR.NONE, TPM2_SE.POLICY, None, TPM2_ALG.SHA256)
        try:
            esapi.policy_command_code(session, TPM2_CC.Duplicate)
            null = TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL)
            _, private, _ = esapi.duplicate(handle, ESYS_TR.NULL, TPM2B_DATA(), null, session1=session)
        finally:
            for one in (session, handle, parent):
                esapi.flush_context(one)
    return bytes(private.marshal())


@needs_tpm
def test_the_private_key_cannot_be_exported(root: Tpm2RootOfTrust, tpm: SwTpm):
    """The same attempt succeeds with a key that may leave, and fails with the device's."""
    from tpm2_pytss import ESAPI, ESYS_TR, TPM2B_PUBLIC  # noqa: PLC0415 - an optional extra

    may_duplicate = sha256(bytes(32) + bytes.fromhex("0000016c0000014b")).digest()  # PolicyCommandCode(Duplicate)
    fixed = public_of(new_key(), restricted=False)[2:]
    attributes = SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | NO_DA | SIGN
    free = fixed[:4] + attributes.to_bytes(4, "big") + sized(may_duplicate) + fixed[10:-68] + sized(b"") + sized(b"")
    with ESAPI(tpm.tcti) as esapi:
        parent, *_ = esapi.create_primary(None, TPM2B_PUBLIC.unmarshal(tpm_commands.STORAGE_TEMPLATE)[0], ESYS_TR.OWNER)
        private, public, *_ = esapi.create(parent, None, TPM2B_PUBLIC.unmarshal(sized(free))[0])
        esapi.flush_context(parent)
    assert len(duplicate(tpm, tpm_commands.Key(public.marshal(), private.marshal()))) > 32  # positive control
    for key in (root._file.identity, root._file.attestation):
        with pytest.raises(RuntimeError, match="tpm:"):  # TSS2_Exception: what the TPM itself answers
            duplicate(tpm, key)


@needs_tpm
def test_the_wrapped_key_on_disk_is_ciphertext_that_is_checked(root: Tpm2RootOfTrust, tpm: SwTpm):
    key = root._file.identity
    with tpm_commands.connect(tpm.tcti) as commands:
        commands.sign(key, bytes(32))  # positive control
    damaged = tpm_commands.Key(key.public, key.private[:40] + bytes((key.private[40] ^ 1,)) + key.private[41:])
    with pytest.raises(RootOfTrustError, match="integrity"), tpm_commands.connect(tpm.tcti) as commands:
        commands.sign(damaged, bytes(32))


@needs_tpm
def test_a_copied_folder_is_of_no_use_with_another_tpm(root: Tpm2RootOfTrust, tmp_path: Path):
    path = tmp_path / "root" / "tpm.json"
    with software_tpm(tmp_path / "thief") as other:
        document = json.loads(path.read_bytes())
        path.write_text(json.dumps({**document, "tpm": other.tcti}))
        with pytest.raises(RootOfTrustError, match="no boot counter of this device: it was cleared, or is another TPM"):
            Tpm2RootOfTrust.open(tmp_path / "root").begin_boot(EVENTS)


@needs_tpm
def test_nothing_stays_in_the_tpm(root: Tpm2RootOfTrust, tpm: SwTpm):
    from tpm2_pytss import ESAPI, TPM2_CAP  # noqa: PLC0415 - an optional extra

    session = root.begin_boot(EVENTS)
    assert session.quote is not None
    for _ in range(5):  # a TPM has room for three objects and three sessions: a leak would end here
        session.quote(b"evidence")
    with ESAPI(tpm.tcti) as esapi:
        for first in (0x80000000, 0x02000000, 0x03000000):  # transient objects, HMAC and policy sessions
            _, found = esapi.get_capability(TPM2_CAP.HANDLES, first, 8)
            assert [int(handle) for handle in found.data.handles if int(handle) >> 24 == first >> 24] == []


def certificate_for(root: Tpm2RootOfTrust, issuer: ec.EllipticCurvePrivateKey) -> bytes:
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device")])
    issued_by = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issued_by).serial_number(1)
    builder = builder.public_key(cose.public_key(device_id_bytes(root.device_id)))
    builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    return builder.sign(issuer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


TLS_CLIENT = """
import pathlib, ssl, sys
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust
from armillary.engines.root_of_trust.tpm_memory import FIRST_INDEX, bytes_of, trust_of
root = Tpm2RootOfTrust.open(pathlib.Path(sys.argv[1]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
root.authenticate(context, pathlib.Path(sys.argv[2]).read_bytes())
client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), None
import socket
with socket.create_connection(("127.0.0.1", int(sys.argv[3]))) as plain, context.wrap_socket(plain) as tls:
    print(tls.version(), tls.recv(5).decode())
    print(len(root.begin_boot([]).quote(b"while the provider holds its connection")))
"""


@needs_tpm
def test_tls_shows_the_identity_certificate_with_the_key_in_the_tpm(root: Tpm2RootOfTrust, tmp_path: Path):
    """In a process of its own: the provider stays loaded and one process speaks to one TPM."""
    issuer = new_key()
    (tmp_path / "device.pem").write_bytes(certificate_for(root, issuer))
    server_key = new_key()
    (tmp_path / "server.pem").write_bytes(private_pem(server_key) + _self_signed(server_key))
    (tmp_path / "issuer.pem").write_bytes(_self_signed(issuer))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(tmp_path / "issuer.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    assert asyncio.run(_serve_once(context, tmp_path)) == root.device_id


def _self_signed(key: ec.EllipticCurvePrivateKey) -> bytes:
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(2)
    builder = builder.public_key(key.public_key()).add_extension(x509.BasicConstraints(True, None), critical=True)
    builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def _serve_once(context: ssl.SSLContext, folder: Path) -> str:
    seen: list[bytes] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("ssl_object").getpeercert(True))
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        arguments = (sys.executable, "-c", TLS_CLIENT, folder / "root", folder / "device.pem", str(port))
        client = await asyncio.create_subprocess_exec(*arguments, stdout=-1, stderr=-1)
        out, err = await asyncio.wait_for(client.communicate(), 60)
    assert client.returncode == 0, err.decode()
    assert out.decode().startswith("TLSv1.3 hello")
    return cose.point_of(x509.load_der_x509_certificate(seen[0]).public_key()).hex()


@needs_tpm
def test_a_certificate_of_another_device_is_not_presented(root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path):
    script = TLS_CLIENT.split("client, server", maxsplit=1)[0]
    (tmp_path / "other.pem").write_bytes(_self_signed(new_key()))
    import subprocess  # noqa: PLC0415

    arguments = [sys.executable, "-c", script, str(tmp_path / "root"), str(tmp_path / "other.pem")]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert "identity certificate is not for it" in ended.stderr


def test_a_missing_library_names_the_extra_and_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(RootOfTrustError) as caught:
        create_root_of_trust("tpm2", tmp_path)
    assert "armillary[tpm2]" in caught.value.remedy
    assert "libtss2-dev" in caught.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "tpm", ["", "device:", "cmd:sh -c id", "device:/dev/tpmrm0;x", "/dev/tpmrm0", "libtpms:/etc/passwd"]
)
def test_what_names_no_tpm_is_refused(tmp_path: Path, tpm: str):
    with pytest.raises(InvalidArgumentError, match="TPM"):
        Tpm2RootOfTrust.create(tmp_path, tpm=tpm)


def test_a_tpm_is_for_tpm2_only(tmp_path: Path):
    with pytest.raises(InvalidArgumentError, match="no TPM"):
        create_root_of_trust("software", tmp_path, tpm="device:/dev/tpmrm0")


@needs_tpm
def test_a_tpm_that_does_not_answer_is_named(tmp_path: Path):
    with pytest.raises(RootOfTrustError, match="TPM device:/dev/no_such_tpm"):
        Tpm2RootOfTrust.create(tmp_path, tpm="device:/dev/no_such_tpm")


@needs_tpm
def test_a_second_device_is_not_made_over_the_first(root: Tpm2RootOfTrust, tpm: SwTpm, tmp_path: Path):
    with pytest.raises(RootOfTrustError, match="already"):
        Tpm2RootOfTrust.create(tmp_path / "root", tpm=tpm.tcti)


def good_file() -> dict[str, object]:
    keys = {
        name: {"public": public_of(new_key(), restricted=name == "attestation").hex(), "private": "00"}
        for name in ("identity", "attestation")
    }
    return {"version": 1, "tpm": "device:/dev/tpmrm0", "counter": FIRST_INDEX, **keys}


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"tpm": "cmd:id"},
        {"counter": "x"},
        {"counter": FIRST_INDEX - 1},
        {"counter": bytes_of(FIRST_INDEX)},
        {"counter": trust_of(FIRST_INDEX)},
        {"counter": tpm_commands.RSA_CERTIFICATE},
        {"identity": {"public": "zz", "private": "00"}},
        {"identity": good_file()["attestation"]},
        {"attestation": good_file()["identity"]},
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, changes: dict[str, object]):
    path = tmp_path / "tpm.json"
    path.write_text(json.dumps({**good_file(), **changes}))
    path.chmod(0o600)
    with pytest.raises(RootOfTrustError, match="damaged"):
        Tpm2RootOfTrust.open(tmp_path)
    path.chmod(0o644)
    with pytest.raises(RootOfTrustError, match="other users"):
        Tpm2RootOfTrust.open(tmp_path)
    assert parse_public(bytes.fromhex(good_file()["identity"]["public"]), IDENTITY)  # type: ignore[index]


@needs_tpm
def test_minimums_outlive_an_old_copy_of_the_disk(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    copy = (tmp_path / "root" / "tpm.json").read_bytes()
    assert root.minimums() is None
    root.keep_minimums({1: 2, 28: 31})
    root.keep_minimums({1: 3, 28: 31})
    (tmp_path / "root" / "tpm.json").write_bytes(copy)
    assert Tpm2RootOfTrust.open(tmp_path / "root").minimums() == {1: 3, 28: 31}


@needs_tpm
def test_minimums_that_are_all_0_are_kept_as_others_are(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    """A release may have security version 0; nothing that was kept is another thing."""
    root.keep_minimums({7: 0, 8: 0})
    assert Tpm2RootOfTrust.open(tmp_path / "root").minimums() == {}


@needs_tpm
def test_a_tpm_that_lost_the_minimums_stops_the_boot(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    with tpm_commands.connect(root._file.tcti) as commands:
        commands.nv.remove(bytes_of(root._file.counter))
    with pytest.raises(RootOfTrustError):
        Tpm2RootOfTrust.open(tmp_path / "root").minimums()


@needs_tpm
def test_no_file_of_the_disk_hides_the_minimums(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    """A file of a version that kept none in the TPM, or one that was edited to look so."""
    root.keep_minimums({1: 3})
    without_word_of_minimums(tmp_path / "root")
    assert Tpm2RootOfTrust.open(tmp_path / "root").minimums() == {1: 3}


@needs_tpm
def test_minimums_that_were_deleted_are_not_made_again_for_a_file_without_a_word_of_them(
    root: Tpm2RootOfTrust, tmp_path: Path
) -> None:
    """Whose counter says its owner has had them in the TPM from the first: it is no device of before that."""
    root.keep_minimums({1: 3})
    with tpm_commands.connect(root._file.tcti) as commands:
        commands.nv.remove(bytes_of(root._file.counter))
    without_word_of_minimums(tmp_path / "root")
    with pytest.raises(RootOfTrustError):
        Tpm2RootOfTrust.open(tmp_path / "root").minimums()


@needs_tpm
def test_a_device_of_before_keeps_its_minimums_in_the_tpm_from_now_on(root: Tpm2RootOfTrust, tmp_path: Path) -> None:
    with tpm_commands.connect(root._file.tcti) as commands:
        commands.nv.remove(bytes_of(root._file.counter))
        commands.nv.remove(root._file.counter)
        assert commands.nv.define_counter(b"") == root._file.counter
    path = without_word_of_minimums(tmp_path / "root")
    before = Tpm2RootOfTrust.open(tmp_path / "root")
    assert before.minimums() is None
    before.keep_minimums({1: 3})
    assert json.loads(path.read_text())["minimums"] is True
    assert Tpm2RootOfTrust.open(tmp_path / "root").minimums() == {1: 3}
    with tpm_commands.connect(root._file.tcti) as commands:
        commands.nv.remove(bytes_of(root._file.counter))
    without_word_of_minimums(tmp_path / "root")
    with pytest.raises(RootOfTrustError):
        Tpm2RootOfTrust.open(tmp_path / "root").minimums()


def without_word_of_minimums(folder: Path) -> Path:
    """Make the file of the folder one of a version that kept none in the TPM; its path."""
    path = folder / "tpm.json"
    document = json.loads(path.read_text())
    del document["minimums"]
    path.write_text(json.dumps(document))
    return path
