# SPDX-License-Identifier: Apache-2.0
"""Attacks on the device endpoint, each beside the honest exchange that succeeds."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.certificates import client_context, self_signed
from tests.fixtures.waiting import wait_until

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema import dialect
from armillary.errors import ServiceUnreachableError
from armillary.identity import dice
from armillary.identity.device_id import device_id_of_key
from armillary.service.endpoint import check_ins, connection as endpoint_connection, endpoint, open_connections
from armillary.service.verifier.device_rates import DeviceRates
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import Answer, WireDevice, read_answer
from armillary.wire.certificates import certificate as profile
from armillary.wire.device.checkin import MAX_REQUEST_BYTES, parse_reply
from armillary.wire.device.problem import parse_problem

CLOSED = (OSError, ServiceUnreachableError)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHost]:
    """One service for all tests that are about their own devices only; others have ``host``, which is theirs alone."""
    with ServiceHost(tmp_path_factory.mktemp("endpoint") / "data", planner_interval_s=3600.0) as running:
        running.catalog()
        yield running


def hung_up(device: WireDevice) -> bool:
    """Whether the service ends an open connection by itself; raises TimeoutError where it does not."""
    assert device._socket is not None
    try:
        return device._socket.recv(1) == b""
    except ConnectionError:  # aborted, without TLS's goodbye
        return True


def post(device: WireDevice, body: bytes) -> Answer:
    return device.exchange("POST", "/v1/check-in", body)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, parse_problem(answer.body).code


def refused_codes(host: ServiceHost, device_id: str) -> set[str]:
    refusals = host.service.registry.history.refusals
    return {row.code for row in wait_until(lambda: refusals(device_id=device_id).items, "a refusal on record")}


# -- who may speak ------------------------------------------------------------------------------------------------


def test_honest_devices_are_attested(shared: ServiceHost) -> None:
    with shared.claimed(b"h" * 32) as device:
        for _ in range(3):
            reply = device.check_in()
            assert (reply.verdict, reply.purpose) == ("attested", "client")
        leaf = profile.parse_device_certificate(reply.certificate_chain[0])
        assert (leaf.device_id, leaf.trust_tier) == (device.device_id, "software")
        assert shared.service.hub_access.authenticate(reply.certificate_chain[0]) == device.device_id


def test_no_certificate_no_answer(shared: ServiceHost) -> None:
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(shared.service.authority.roots.certificate))
    with pytest.raises(CLOSED):
        ask(context, shared.service.device_address.port)


def ask(context: ssl.SSLContext, port: int) -> Answer:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"GET /v1/challenge HTTP/1.1\r\nhost: x\r\n\r\n")
        return read_answer(tls)


def foreign_chain(device_id: str, maker: str, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, ...]:
    """An identity certificate for ``device_id`` by an authority that only shares the name of ours."""
    now = int(time.time())
    authority = profile.build_silicon_authority(key, maker=maker, serial=7, not_before=now - 60, not_after=now + 9999)
    leaf = profile.build_identity_certificate(
        authority, key, device_id=device_id, serial=8, not_before=now - 60, not_after=now + 9999
    )
    der = serialization.Encoding.DER
    return leaf.public_bytes(der), authority.public_bytes(der)


def test_a_certificate_of_an_authority_with_the_right_name_and_another_key_is_refused(shared: ServiceHost) -> None:
    honest = shared.claimed(b"n" * 32)
    chain = foreign_chain(honest.device_id, "MediaTek", ec.generate_private_key(ec.SECP256R1()))
    rogue = replace(honest, factory=replace(honest.factory, certificate_chain=chain))
    with pytest.raises(CLOSED):
        rogue.exchange("GET", "/v1/challenge")
    with honest:
        assert honest.check_in().verdict == "attested"


def test_a_server_or_client_certificate_of_the_service_opens_nothing(shared: ServiceHost) -> None:
    with shared.claimed(b"o" * 32) as honest:
        reply = honest.check_in()
        key = honest.client_key
    context = client_context(honest.factory.service_root, key, reply.certificate_chain)
    with pytest.raises(CLOSED):
        ask(context, honest.port)
    assert ask(honest.tls_context(), honest.port).status == 200


def test_a_device_that_was_never_enrolled_is_unknown(shared: ServiceHost) -> None:
    known = shared.claimed(b"k" * 32)
    secret = b"R" * 32
    rogue_id = dice.identity_key(secret).public_key()
    # Issued past the registry.
    _, chain = shared.service.authority.silicon.identity_certificate("MediaTek", device_id_of_key(rogue_id))
    prover = replace(known.prover, uds=secret, boot_count=0)
    rogue = replace(known, prover=prover, factory=replace(known.factory, certificate_chain=chain))
    with rogue, known:
        assert code(rogue.exchange("GET", "/v1/challenge")) == (403, "device.unknown")
        assert known.check_in().verdict == "attested"
    assert refused_codes(shared, rogue.device_id) == {"device.unknown"}


def test_an_unclaimed_device_is_refused_until_it_is_claimed(shared: ServiceHost) -> None:
    with shared.device(b"u" * 32) as device:
        assert code(device.exchange("GET", "/v1/challenge")) == (403, "device.unclaimed")
        shared.service.registry.devices.claim("Contoso", [device.device_id], actor="t")
        assert device.check_in().verdict == "attested"


def test_a_device_in_the_wrong_manufacturing_state_is_refused(shared: ServiceHost) -> None:
    with shared.claimed(b"s" * 32) as device:
        assert device.check_in().verdict == "attested"
        shared.service.context.records.write(
            lambda c: device_rows.change(c, device.device_id, {"manufacturing_state": "Blank"})
        )
        shared.service.notices.device_changed(device.device_id)
        assert code(device.exchange("GET", "/v1/challenge")) == (403, "device.state")


def test_a_revoked_device_loses_its_connection_and_its_next_request(shared: ServiceHost) -> None:
    with shared.claimed(b"r" * 32) as device:
        reply = device.check_in()
        shared.service.registry.lifecycle.revoke(device.device_id, reason="stolen", actor="t")
        assert hung_up(device)  # at once, before it asks for anything
        device.connect()
        assert code(device.exchange("GET", "/v1/challenge")) == (403, "device.revoked")
        with pytest.raises(Exception, match="revoked"):
            shared.service.hub_access.authenticate(reply.certificate_chain[0])
        shared.service.registry.lifecycle.restore(device.device_id, actor="t")
        device.challenge = b""
        assert device.check_in().verdict == "attested"


def test_a_certificate_that_ends_on_an_open_connection_is_refused(host: ServiceHost, clock: dict[str, float]) -> None:
    with host.claimed(b"e" * 32) as device:
        assert device.check_in().verdict == "attested"
        clock["offset"] = 30 * 365 * 86400.0
        assert code(device.exchange("GET", "/v1/challenge")) == (403, "device.state")
        clock["offset"] = 0.0
        assert device.check_in().verdict == "attested"


# -- proofs -------------------------------------------------------------------------------------------------------


def test_a_proof_is_good_once_on_the_same_a_new_and_a_later_connection(tmp_path: Path) -> None:
    begun = time.time()  # the service's clock stands: a challenge that was fetched is not too old on a slow host
    with ServiceHost(tmp_path / "data", clock=lambda: begun) as host:
        host.catalog()
        with host.claimed(b"p" * 32) as device:
            body = device.request_body()
            assert post(device, body).status == 200
            assert code(post(device, body)) == (401, "device.challenge")
            device.connect()
            assert code(post(device, body)) == (401, "device.challenge")
            next_body = device.request_body(device.fetch_challenge())
            assert post(device, next_body).status == 200
    with ServiceHost(tmp_path / "data", clock=lambda: begun) as host:
        device.port = host.service.device_address.port
        with device:
            assert code(post(device, body)) == (401, "device.challenge")
            assert code(post(device, next_body)) == (401, "device.challenge")
            assert device.check_in().verdict == "attested"
        assert refused_codes(host, device.device_id) == {"device.challenge.replayed"}
        host.service.watch.run_once()
        (finding,) = host.service.watch.list(kind="proof-replayed").items
        assert finding.device_ids == (device.device_id,)


def test_two_equal_proofs_at_once_give_one_certificate(shared: ServiceHost) -> None:
    with shared.claimed(b"q" * 32) as device, replace(device) as twin:
        body = device.request_body()
        request = f"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        first, second = device.connect(), twin.connect()
        first.sendall(request)
        second.sendall(request)
        statuses = sorted((read_answer(first).status, read_answer(second).status))
        assert statuses[0] == 200
        assert statuses[1] in (401, 429)
        assert len(shared.service.registry.history.check_ins(device.device_id).items) == 1


def test_a_challenge_of_one_device_is_useless_to_another(shared: ServiceHost) -> None:
    with shared.claimed(b"1" * 32) as good, shared.claimed(b"2" * 32) as bad:
        challenge = good.fetch_challenge()
        assert code(post(bad, bad.request_body(challenge))) == (401, "device.challenge")
        assert post(bad, good.request_body(challenge)).status in (401, 403)
        assert post(good, good.request_body(challenge)).status == 200
        assert "device.challenge.replayed" in refused_codes(shared, bad.device_id)


def test_a_stale_challenge_is_refused_and_no_finding(host: ServiceHost, clock: dict[str, float]) -> None:
    with host.claimed(b"t" * 32) as device:
        body = device.request_body(device.fetch_challenge())
        clock["offset"] = 61.0
        assert code(post(device, body)) == (401, "device.challenge")
        assert refused_codes(host, device.device_id) == {"device.challenge"}
        host.service.watch.run_once()
        assert host.service.watch.list().items == ()


def test_no_flipped_byte_of_a_proof_is_attested(shared: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeviceRates, "charge_check_in", lambda *_: None)  # it comes more often than one device may
    with shared.claimed(b"f" * 32) as device:
        size = len(device.request_body())
        for place in range(0, size, 23):
            body = bytearray(device.request_body(device.fetch_challenge()))
            body[place] ^= 1
            answer = post(device, bytes(body))
            if answer.status == 200:  # a log that does not replay: the device may repair itself, and no more
                reply = parse_reply(answer.body)
                assert (reply.verdict, reply.purpose) == ("update-only", "update"), place
            else:
                assert answer.status in (400, 401, 403), place
        device.challenge = b""
        assert device.check_in().verdict == "attested"


def test_a_tampered_boot_gets_an_update_certificate_that_the_hub_refuses(host: ServiceHost) -> None:
    with host.claimed(b"b" * 32) as device:
        assert device.check_in().verdict == "attested"
        good = device.prover.components
        device.prover.components = (replace(good[0], content=good[0].content + b"!"), *good[1:])
        device.prover.boot()
        reply = device.check_in()
        assert (reply.verdict, reply.purpose) == ("update-only", "update")
        assert [step.name for step in reply.steps if step.result == "fail"] == ["known components"]
        with pytest.raises(Exception, match="purpose"):
            host.service.hub_access.authenticate(reply.certificate_chain[0])
        host.service.watch.run_once()
        (finding,) = host.service.watch.list(kind="attestation-failed").items
        assert finding.severity == "high"
        device.prover.components = good
        device.prover.boot()
        assert device.check_in().verdict == "attested"


def test_a_copied_device_is_noticed(host: ServiceHost) -> None:
    with host.claimed(b"c" * 32) as original:
        assert original.check_in().verdict == "attested"
        copy = replace(original, prover=replace(original.prover, boot_count=0), challenge=b"")
        with copy:
            reply = copy.check_in()  # boots on from the copied counter
        assert reply.verdict == "update-only"
        host.service.watch.run_once()
        (finding,) = host.service.watch.list(kind="identity-forked").items
        assert (finding.severity, finding.device_ids) == ("critical", (original.device_id,))


def test_a_raised_floor_shuts_an_old_release_out(host: ServiceHost) -> None:
    releases, floors = host.service.releases, host.service.attestation.floors
    with host.claimed(b"v" * 32) as device:
        assert device.check_in().verdict == "attested"
        newer = releases.publish("mt3620", "26.12", security_version=2, actor="t")
        kind = newer.components[0].image_type
        assert device.check_in().verdict == "attested"
        floors.raise_to("mt3620", kind, 2, actor="t")
        reply = device.check_in()
        assert reply.verdict == "update-only"
        assert [step.name for step in reply.steps if step.result == "fail"] == ["security version"]
        with pytest.raises(Exception, match="floor is 2"):
            floors.raise_to("mt3620", kind, 1, actor="t")


# -- TLS ----------------------------------------------------------------------------------------------------------


def test_tls_1_2_is_refused(host: ServiceHost) -> None:
    device = host.claimed(b"2" * 32)
    context = device.tls_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        device.connect(context)
    with device:
        assert device.connect().version() == "TLSv1.3"
    # Two things refuse it, so that neither is missed above: the version, and a curve that TLS 1.2 cannot use with P-256.
    files = host.service.authority.server.files()
    own = endpoint.server_context(files.certificate, files.key, host.service.authority.silicon.certificates())
    assert own.minimum_version is ssl.TLSVersion.TLSv1_3


def test_no_session_can_be_resumed(host: ServiceHost) -> None:
    device = host.claimed(b"3" * 32)
    context = device.tls_context()
    connection = device.connect(context)
    assert device.check_in().verdict == "attested"  # any ticket would have arrived with the reply
    session = connection.session
    assert session is None or not session.has_ticket
    device.disconnect()
    plain = socket.create_connection(("127.0.0.1", host.service.device_address.port), timeout=10)
    with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as again:
        assert not again.session_reused


def test_a_device_refuses_a_service_with_another_root(shared: ServiceHost, tmp_path: Path) -> None:
    device = shared.claimed(b"4" * 32)
    _, _, (_, impostor) = self_signed(tmp_path, "Armillary Root CA", authority=True)
    root = impostor.public_bytes(serialization.Encoding.DER)
    fooled = replace(device, factory=replace(device.factory, service_root=root))
    with pytest.raises(ssl.SSLCertVerificationError):
        fooled.connect()


# -- HTTP ---------------------------------------------------------------------------------------------------------


def test_bodies_and_headers_have_limits(shared: ServiceHost) -> None:
    with shared.claimed(b"5" * 32) as device:
        assert device.exchange("POST", "/v1/check-in", bytes(MAX_REQUEST_BYTES + 1)).status == 413
        device.connect()
        assert device.exchange("GET", "/v1/challenge", headers={"x": "y" * 9000}).status == 431
        device.connect()
        assert device.exchange("GET", "/" + "a" * 2000).status == 431
        device.connect()
        many = {f"x-{n}": "1" for n in range(100)}
        assert device.exchange("GET", "/v1/challenge", headers=many).status == 431
        device.connect()
        assert device.exchange("GET", "/v1/challenge").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/challenge", 405),
        ("GET", "/v1/check-in", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/images/../../keys/root.pem", 404),
        ("GET", "/v1/images/00000000-0000-0000-0000-000000000000", 404),
        ("POST", "/v1/check-in", 400),
    ],
)
def test_other_requests_are_refused(shared: ServiceHost, method: str, path: str, status: int) -> None:
    with shared.claimed(os.urandom(32)) as device:
        assert device.exchange(method, path).status == status
        assert device.check_in().verdict == "attested"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 not http\r\n\r\n",
        b"GET /v1/challenge\r\n\r\n",
        b"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabc",
        b"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
    ],
)
def test_malformed_http_is_answered_or_closed_and_harms_nobody(shared: ServiceHost, sent: bytes) -> None:
    with shared.claimed(os.urandom(32)) as device, shared.claimed(os.urandom(32)) as other:
        connection = device.connect()
        connection.sendall(sent)
        with contextlib.suppress(*CLOSED):
            assert read_answer(connection).status in (400, 413, 505)
        assert other.check_in().verdict == "attested"


def test_a_chunked_flood_stops_at_the_limit(shared: ServiceHost) -> None:
    with shared.claimed(b"9" * 32) as device:
        connection = device.connect()
        connection.sendall(b"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"2000\r\n" + bytes(0x2000) + b"\r\n"
        with pytest.raises(CLOSED):  # noqa: PT012 - the flood ends somewhere inside
            for _ in range(200):
                connection.sendall(chunk)
            answer = read_answer(connection)
            assert answer.status == 413
            raise ServiceUnreachableError("refused as it should be")


def test_a_slow_request_is_cut_off(shared: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_connection, "REQUEST_TIMEOUT_S", 0.5)
    with shared.claimed(b"0" * 32) as device:
        connection = device.connect()
        connection.sendall(b"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nab")
        begun = time.monotonic()
        with pytest.raises(CLOSED):
            read_answer(connection)
        assert time.monotonic() - begun < 8


def test_more_connections_than_allowed_are_turned_away(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = host.service.serving.server.endpoint
    assert endpoint is not None
    monkeypatch.setattr(open_connections, "MAX_CONNECTIONS", 2)
    with host.claimed(b"x" * 32) as one, host.claimed(b"y" * 32) as two, host.claimed(b"z" * 32) as three:
        assert one.check_in().verdict == two.check_in().verdict == "attested"
        with pytest.raises(CLOSED):
            three.check_in()
        two.disconnect()
        wait_until(lambda: endpoint.connections == 1, "its place to be given back")
        three.connect()
        assert three.check_in().verdict == "attested"


def test_a_writer_that_falls_behind_tells_devices_to_come_back(
    shared: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared.claimed(b"w" * 32) as device:
        body = device.request_body()
        monkeypatch.setattr(check_ins, "MAX_WAITING", 0)
        answer = post(device, body)
        assert code(answer) == (429, "device.try-later")
        assert int(answer.headers["retry-after"]) >= 1
        monkeypatch.undo()
        assert post(device, body).status == 200  # the proof was not spent
        assert shared.service.registry.history.refusals(device_id=device.device_id).items == ()


def test_a_check_in_that_cannot_be_recorded_gives_no_certificate(
    shared: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with shared.claimed(b"i" * 32) as device:
        assert device.check_in().verdict == "attested"
        body = device.request_body()
        monkeypatch.setattr(dialect, "execute_batch", full)
        answer = post(device, body)
        assert answer.status == 503
        assert b"certificate" not in answer.body
        monkeypatch.undo()
        assert code(post(device, body)) == (401, "device.challenge")  # spent, whatever came of it
        device.challenge = b""
        assert device.check_in().verdict == "attested"
        assert len(shared.service.registry.history.check_ins(device.device_id).items) == 2
