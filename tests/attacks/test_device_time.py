# SPDX-License-Identifier: Apache-2.0
"""A device whose clock is decades off gets the time from its service and from nobody else; real TLS throughout.

The host's clock cannot be set in a test, so both are turned: what the device believes its host's clock says (1970,
2100), and the service's clock with every certificate it makes (56 years ahead of the host, 20 behind), which is what a
host at another time looks like to OpenSSL.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.certificates import chain_file

from armillary.api.native.service.devices import factory_document
from armillary.device.boot.provision import provision
from armillary.device.checkin import endpoint as device_endpoint
from armillary.device.checkin.endpoint import DeviceEndpoint
from armillary.device.process import Device
from armillary.device.state.clock import DeviceClock
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.errors import ServiceUnreachableError
from armillary.service.endpoint import device_server
from armillary.service.endpoint.endpoint import server_context
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.certificates import certificate as profile
from armillary.wire.device.challenge import Challenge, encode_challenge
from armillary.wire.encoding.pem import armour

DAY_S = 86_400
YEAR_S = 365 * DAY_S
IN_1970, IN_2100 = 0.0, 4_102_444_800.0


def without_days(context: ssl.SSLContext) -> ssl.SSLContext:
    context.verify_flags |= device_endpoint._NO_CHECK_TIME
    return context


@contextlib.contextmanager
def service(tmp_path: Path, offset_s: float = 0.0, *, port: int = 0) -> Iterator[ServiceHost]:
    """The service of a data folder, at a time."""
    with pytest.MonkeyPatch.context() as patched:
        # The service's OpenSSL asks the host's clock as well, which stands right where a service runs.
        patched.setattr(device_server, "server_context", lambda *made: without_days(server_context(*made)))
        now = lambda: time.time() + offset_s  # noqa: E731
        host = ServiceHost(tmp_path / "service", clock=now, planner_interval_s=3600.0, device_port=port)
    with host:
        if not host.service.registry.catalogs.list():
            host.catalog()
        yield host


def factory_of(host: ServiceHost) -> Callable[[str, str], Any]:
    """What manufactures devices: it takes a certificate request and a chip."""
    return lambda request, chip: factory_document(host.service.factory.enrol(request, chip, "t"))


def make(host: ServiceHost, folder: Path, *, wall: float, chip: str = "mt3620") -> Device:
    """A real device whose host's clock stands at ``wall``, manufactured and claimed."""
    provision(
        DeviceFolder(folder),
        chip=chip,
        root_of_trust="software",
        sandbox="process",
        operator_api="https://localhost:1",
        factory=factory_of(host),
    )
    device = started(folder, wall=wall)
    host.service.registry.devices.claim("Contoso", [device.device_id], product="Kettle", group="Production", actor="t")
    return device


def started(folder: Path, *, wall: float) -> Device:
    device = Device(folder)
    device.clock = DeviceClock(FileFlash(device.folder.flash), wall=lambda: wall)
    return device


@pytest.mark.parametrize("wall", [IN_1970, IN_2100], ids=["1970", "2100"])
@pytest.mark.parametrize("offset_s", [0, 56 * YEAR_S, -20 * YEAR_S], ids=["now", "host behind", "host ahead"])
def test_a_device_at_1970_or_2100_recovers(tmp_path: Path, wall: float, offset_s: float) -> None:
    with service(tmp_path, offset_s) as host:
        device = make(host, tmp_path / "device", wall=wall)
        assert (device.clock.signed, device.clock.now()) == (False, int(wall))
        reply = asyncio.run(device.prove_once())
        assert reply.verdict == "attested"
        assert abs(device.clock.now() - (time.time() + offset_s)) < 30
        again = started(tmp_path / "device", wall=IN_1970)  # off for a while, and the battery of its clock is empty
        assert again.clock.now() >= time.time() + offset_s - 30
        assert asyncio.run(again.prove_once()).verdict == "attested"


def test_mutation_with_the_hosts_clock_in_charge_it_never_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service(tmp_path, 56 * YEAR_S) as host:
        device = make(host, tmp_path / "device", wall=IN_1970)
        monkeypatch.setattr(device_endpoint, "_NO_CHECK_TIME", 0)
        with pytest.raises(ServiceUnreachableError, match="not yet valid"):
            asyncio.run(device.prove_once())


# -- who else gives the time ----------------------------------------------------------------------------------------


class Impostor:
    """A server in the place of the service that tells the time it likes."""

    def __init__(self, folder: Path, host: ServiceHost) -> None:
        self.folder, self.host = folder, host
        folder.mkdir()

    def certificate(self, *, begins: float, ends: float, root: x509.Certificate | None = None, key: Any = None) -> Path:
        """Certificate and key of a server: genuine (an old one that was stolen) unless ``root`` and ``key`` are given."""
        authority = self.host.service.authority
        own = ec.generate_private_key(ec.SECP256R1())
        made = profile.build_server_certificate(
            root or x509.load_der_x509_certificate(authority.roots.certificate),
            key or authority.keys.load("root"),
            own.public_key(),
            hosts=["localhost", "127.0.0.1"],
            serial=77,
            not_before=int(begins),
            not_after=int(ends),
        )
        return chain_file(self.folder / "server.pem", own, [made.public_bytes(serialization.Encoding.DER)])

    @contextlib.asynccontextmanager
    async def tells(self, at: float, path: Path) -> AsyncIterator[str]:
        async def challenge(_: web.Request) -> web.Response:
            return web.Response(body=encode_challenge(Challenge(b"c" * 54, int(at))))

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        application = web.Application()
        application.router.add_get("/v1/challenge", challenge)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        try:
            yield f"https://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
        finally:
            await runner.cleanup()


def time_taken_from(impostor: Impostor, device: Device, at: float, path: Path) -> bool:
    """Whether the device takes over the time ``at`` from a server with the certificate in ``path``."""

    async def play() -> bool:
        async with (
            impostor.tells(at, path) as url,
            DeviceEndpoint(url, device_endpoint.tls_context(device.configuration.service_root, device.clock)) as end,
        ):
            device.clock.set_from_service((await end.challenge()).server_time)
        return device.clock.signed and abs(device.clock.now() - at) < 30

    return asyncio.run(play())


def test_nobody_without_the_services_key_sets_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with service(tmp_path) as host:
        device = make(host, tmp_path / "device", wall=IN_1970)
        impostor = Impostor(tmp_path / "impostor", host)
        genuine = x509.load_der_x509_certificate(host.service.authority.roots.certificate)
        own_key = ec.generate_private_key(ec.SECP384R1())
        false = now + 3 * YEAR_S
        forged = impostor.certificate(begins=now - DAY_S, ends=now + 9 * YEAR_S, root=genuine, key=own_key)
        with pytest.raises(ServiceUnreachableError, match="service root"):
            time_taken_from(impostor, device, false, forged)
        assert not device.clock.signed
        # the control: with the chain to the root unchecked, the same server sets the clock
        with monkeypatch.context() as patched:
            genuine_context = device_endpoint.tls_context

            def trusting(root: str, clock: DeviceClock) -> ssl.SSLContext:
                context = genuine_context(root, clock)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                return context

            patched.setattr(device_endpoint, "tls_context", trusting)
            patched.setattr(device_endpoint, "is_directly_under", lambda *_: True)
            fooled = started(tmp_path / "device", wall=IN_1970)
            with contextlib.suppress(ServiceUnreachableError):
                assert time_taken_from(impostor, fooled, false, forged)
            assert fooled.clock.signed


def test_a_stolen_old_server_key_sets_back_no_device_that_heard_the_service_since(tmp_path: Path) -> None:
    now = time.time()
    with service(tmp_path) as host:
        device = make(host, tmp_path / "device", wall=IN_1970)
        impostor = Impostor(tmp_path / "impostor", host)
        stolen = impostor.certificate(begins=now - 2 * YEAR_S, ends=now - YEAR_S)
        # what it can do: pretend its own days to a device that has heard nobody since
        assert time_taken_from(impostor, started(tmp_path / "device", wall=IN_1970), now - YEAR_S - DAY_S, stolen)
        # and no other time
        fresh = started(tmp_path / "device", wall=IN_1970)
        assert not time_taken_from(impostor, fresh, now + YEAR_S, stolen)
        assert not fresh.clock.signed
        # the service is stronger, whoever spoke before it
        assert asyncio.run(device.prove_once()).verdict == "attested"
        for later in (device, started(tmp_path / "device", wall=IN_1970), started(tmp_path / "device", wall=IN_2100)):
            with pytest.raises(ServiceUnreachableError, match="certificate"):
                time_taken_from(impostor, later, now - YEAR_S - DAY_S, stolen)
            assert later.clock.now() >= now - 30


def test_an_authority_of_devices_that_was_stolen_is_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads to the same root, and OpenSSL is not asked for its days: one that ended would be good for ever.

    An authority of a data folder of before, without limits to what it signs: with them OpenSSL itself refuses it.
    """
    now = time.time()
    monkeypatch.setattr("armillary.wire.certificates.certificate_part.devices_only", list)
    with service(tmp_path) as host:
        device = make(host, tmp_path / "device", wall=IN_1970)
        impostor = Impostor(tmp_path / "impostor", host)
        authority = host.service.authority
        chain = authority.catalogs.valid(host.service.registry.catalogs.get("Contoso").catalog_id)
        issuing = x509.load_der_x509_certificate(chain[0].der)
        key = authority.keys.load(f"issuing-{chain[0].serial.lower()}")
        stolen = impostor.certificate(begins=now - DAY_S, ends=now + YEAR_S, root=issuing, key=key)
        stolen.write_bytes(stolen.read_bytes() + b"".join(armour("CERTIFICATE", one.der) for one in chain[:-1]))
        with pytest.raises(ServiceUnreachableError, match="not signed by this device's service root itself"):
            time_taken_from(impostor, device, now + DAY_S, stolen)
        assert not device.clock.signed
        # the control: without this check it is taken for the service; and the service itself is not refused
        with monkeypatch.context() as patched:
            patched.setattr(device_endpoint, "is_directly_under", lambda *_: True)
            assert time_taken_from(impostor, started(tmp_path / "device", wall=IN_1970), now + DAY_S, stolen)
        assert asyncio.run(device.prove_once()).verdict == "attested"


def test_a_service_whose_clock_jumped_ahead_and_back_keeps_its_devices(tmp_path: Path) -> None:
    offset = [0.0]
    with ServiceHost(tmp_path / "service", clock=lambda: time.time() + offset[0], planner_interval_s=3600.0) as host:
        host.catalog()
        device = make(host, tmp_path / "device", wall=IN_2100)
        for offset[0] in (30 * DAY_S, 0.0, 0.0, 30 * YEAR_S, 0.0):
            if offset[0] > YEAR_S:  # beyond the certificate's days: not believed
                with pytest.raises(Exception, match="certificate"):
                    asyncio.run(started(tmp_path / "device", wall=IN_1970).prove_once())
                continue
            device = started(tmp_path / "device", wall=IN_1970)
            assert asyncio.run(device.prove_once()).verdict == "attested"
            assert device.clock.now() >= time.time() + 29 * DAY_S
