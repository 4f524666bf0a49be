# SPDX-License-Identifier: Apache-2.0
"""Client certificates on the bridge's own port: whose they are is checked with each request, and nothing else is served."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh, own_service, running_service
from tests.fixtures.certificates import self_signed
from tests.fixtures.controllers import PRODUCT, Controller, bridged_catalog, service_admission

from armillary.errors import UnauthenticatedError
from armillary.service.bridge import callers
from armillary.service.context.context import Context

service = own_service(bridge_port="0")


class Fleet:
    """A catalog whose controllers show certificates of an authority of its own."""

    def __init__(self, service: RunningService, folder: Path, name: str) -> None:
        self.service, self.folder = service, folder
        self.catalog = bridged_catalog(service, certificates=True, registers_into=f"{PRODUCT}/Production")
        self.subject = name
        _, self.pem, self.pair = self_signed(folder, name, authority=True)
        self.place = f"/api/v1/catalogs/{self.catalog}/bridge-authorities"
        self.added = service.call("POST", self.place, {"certificate": self.pem})

    def ask(
        self, path: str, common_name: str | None, *, issuer: Any = None, headers: dict[str, str] | None = None
    ) -> int:
        """The status of a request on the bridge's port, by who shows a certificate of this name."""
        context = ssl.create_default_context(cafile=str(self.service.root))
        if common_name is not None:
            file, _, _ = self_signed(self.folder, common_name, issuer=issuer or self.pair)
            context.load_cert_chain(file)
        port = self.service.ports["bridge_port"]
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=30)
        try:
            connection.request("GET", path, headers=headers or {})
            return connection.getresponse().status
        finally:
            connection.close()

    def root(self, controller: str) -> str:
        return f"/{self.catalog}/controller/v1/{controller}"


@pytest.fixture(scope="module")
def mine(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(service, tmp_path_factory.mktemp("mine"), "My fleet")


@pytest.fixture(scope="module")
def theirs(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(service, tmp_path_factory.mktemp("theirs"), "Their fleet")


def test_a_certificate_opens_the_controller_that_it_names(mine: Fleet) -> None:
    assert mine.added.status == 200
    assert mine.ask(mine.root("gw-1"), "gw-1") == 200
    assert mine.ask(mine.root("gw-2"), "gw-1") == 401
    assert mine.ask(mine.root("gw-1"), None) == 401


def test_another_catalogs_authority_opens_nothing(mine: Fleet, theirs: Fleet) -> None:
    """TLS trusts both: that the authority is the tenant's is checked here."""
    assert theirs.ask(theirs.root("gw-1"), "gw-1") == 200
    assert theirs.ask(mine.root("gw-1"), "gw-1") == 401
    assert mine.ask(theirs.root("gw-1"), "gw-1") == 401


def test_a_strangers_certificate_does_not_get_through_the_handshake(mine: Fleet, tmp_path: Path) -> None:
    _, _, stranger = self_signed(tmp_path, "My fleet", authority=True)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        mine.ask(mine.root("gw-1"), "gw-1", issuer=stranger)


@pytest.mark.parametrize("header", ["TargetToken wrong", "GatewayToken wrong", "Basic d3Jvbmc=", "x"])
def test_a_wrong_token_is_not_made_good_by_a_certificate(mine: Fleet, header: str) -> None:
    assert mine.ask(mine.root("gw-1"), "gw-1", headers={"Authorization": header}) == 401


@pytest.mark.parametrize(("leaf_days", "authority_days"), [(1, 9), (9, 1)])
def test_a_certificate_that_ended_on_an_open_connection_opens_nothing(
    service: RunningService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leaf_days: int,
    authority_days: int,
) -> None:
    """TLS looked at the times in its handshake; whichever of the two ends, the next request is refused."""
    catalog = bridged_catalog(service, certificates=True, registers_into=f"{PRODUCT}/Production")
    _, pem, pair = self_signed(tmp_path, fresh("fleet"), authority=True, days=authority_days)
    place = f"/api/v1/catalogs/{catalog}/bridge-authorities"
    assert service.call("POST", place, {"certificate": pem}).status == 200
    _, leaf, _ = self_signed(tmp_path, "gw-1", issuer=pair, days=leaf_days)
    bridge, der, now = service.service.bridge, ssl.PEM_cert_to_DER_cert(leaf), service.service.context.now()
    for days in (0, 2, -2):
        monkeypatch.setattr(Context, "now", lambda _, days=days: now + days * 86_400)
        if days:
            with pytest.raises(UnauthenticatedError):
                bridge.callers.authenticate(catalog, "gw-1", "", der)
        else:
            assert bridge.callers.authenticate(catalog, "gw-1", "", der)[1].controller == "gw-1"


def test_the_bridges_port_presents_a_renewed_certificate_and_gives_no_tickets(
    service: RunningService, mine: Fleet
) -> None:
    """From the next handshake on; a resumed session would outlive a client's certificate."""

    def connection() -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(service.root))
        plain = socket.create_connection(("localhost", service.ports["bridge_port"]), timeout=30)
        made = context.wrap_socket(plain, server_hostname="localhost")
        made.sendall(f"GET {mine.root('gw-1')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert made.recv(12) == b"HTTP/1.1 401"  # tickets of TLS 1.3 come with the first bytes of the server
        return made

    with connection() as before:
        assert before.session is None or not before.session.has_ticket
        old = before.getpeercert()
    server = service.service.authority.server
    server.files().certificate.unlink()  # what is missing is made anew, as what ends soon is
    server.renew_due()
    with connection() as after:
        assert after.getpeercert() != old


def test_a_catalog_that_admits_no_target_tokens_takes_none(service: RunningService) -> None:
    catalog = bridged_catalog(service)
    device = Controller.made(service, catalog)
    assert device.ask("GET", "").status == 200
    service_admission(service, catalog, target_tokens=False)
    assert device.ask("GET", "").status == 401


def test_a_name_that_another_authority_has_is_refused(service: RunningService, theirs: Fleet, tmp_path: Path) -> None:
    """TLS finds an issuer by its name: the second one would lock the first one's devices out."""
    _, pem, _ = self_signed(tmp_path, "Their fleet", authority=True)
    catalog = bridged_catalog(service)
    place = f"/api/v1/catalogs/{catalog}/bridge-authorities"
    assert service.call("POST", place, {"certificate": pem}).status == 409
    assert service.call("POST", place, {"certificate": theirs.pem}).status == 200, "the same key may serve two catalogs"
    assert theirs.ask(theirs.root("gw-1"), "gw-1") == 200


def test_what_is_no_authority_is_refused(service: RunningService, mine: Fleet, tmp_path: Path) -> None:
    _, leaf, _ = self_signed(tmp_path, "leaf")
    for pem in (leaf, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x" * 100):
        assert service.call("POST", mine.place, {"certificate": pem}).status == 400


def test_what_is_removed_or_switched_off_opens_nothing_at_once(service: RunningService, tmp_path: Path) -> None:
    fleet = Fleet(service, tmp_path, "Short fleet")
    assert fleet.ask(fleet.root("gw-1"), "gw-1") == 200
    service_admission(service, fleet.catalog, certificates=False)
    assert fleet.ask(fleet.root("gw-1"), "gw-1") == 401
    service_admission(service, fleet.catalog, certificates=True)
    assert fleet.ask(fleet.root("gw-1"), "gw-1") == 200
    service.call("DELETE", f"{fleet.place}/{fleet.added.body['fingerprint']}")
    assert fleet.ask(fleet.root("gw-1"), "gw-1") == 401


def test_after_a_restart_authorities_are_trusted_as_before(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", bridge_port="0") as service:
        fleet = Fleet(service, tmp_path, "Kept fleet")
        assert fleet.ask(fleet.root("gw-1"), "gw-1") == 200
    with running_service(tmp_path / "data", bridge_port="0") as fleet.service:
        assert fleet.ask(fleet.root("gw-1"), "gw-1") == 200


def test_the_bridges_port_serves_the_ddi_and_nothing_else(service: RunningService, mine: Fleet) -> None:
    for path in ("/", "/api/v1/status", "/healthz", "/metrics", "/api/v1/openapi.json", "/device-files/x"):
        assert mine.ask(path, None, headers={"Authorization": f"Bearer {service.token}"}) == 404, path
    device = Controller.made(service, mine.catalog)
    assert mine.ask(device.root, None, headers={"Authorization": device.header}) == 200
    assert device.ask("GET", "").status == 200, "the operator API's port serves it, too"


def test_without_the_checks_of_the_certificate_anybodys_would_do(
    mine: Fleet, theirs: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of name and authority."""
    assert theirs.ask(mine.root("gw-9"), "gw-1") == 401
    monkeypatch.setattr(callers, "_is_issued", lambda *_: True)
    assert theirs.ask(mine.root("gw-9"), "gw-1") == 200
