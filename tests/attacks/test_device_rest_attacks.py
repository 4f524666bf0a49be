# SPDX-License-Identifier: Apache-2.0
"""Attacks on a device's own API: by other users of the host, web pages, applications, hostile requests, silence.

Beside each refusal stands the same request that is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rest.asking import ANY_DEVICE, REST, allow, tool_of
from tests.device.rig import FAST, Rig, provisioned
from tests.device.state.test_certificate_store import certificate, private
from tests.device.tiny_service import TinyService
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import until

from armillary.device.boot.startup import chip_profile
from armillary.device.rest import listener
from armillary.device.rest.answering import MAX_JSON_BYTES
from armillary.device.rest.server import routes
from armillary.device.rest.settings import rest_settings
from armillary.engines.host.connections import peer_user
from armillary.engines.sandbox.network import outside
from armillary.engines.sandbox.network.outside import begin_outside, connect_outside
from armillary.engines.sandbox.network.own_ports import own_port
from armillary.errors import InvalidArgumentError
from armillary.identity.manufacturing import ManufacturingState
from armillary.update.install.trial import TrialRules
from armillary.wire.device import azure_error
from armillary.wire.image import capability_file

pytestmark = pytest.mark.anyio
DENIED = (403, azure_error.PERMISSION_DENIED)
BAD_URI = (404, azure_error.INVALID_URI)
STRANGER = 65534
# Connects as another user and says what it hears.
AS_USER = """
import os, socket, ssl, sys
host, port, ca, user = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if int(user):
    os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
try:
    with socket.create_connection((host, int(port)), 20) as plain, context.wrap_socket(plain, server_hostname=host) as s:
        s.sendall(b"GET /status HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
        print(s.recv(100).split(b"\\r\\n")[0].decode())
except OSError as error:
    print("closed")
"""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A device with a pretended sandbox, and its service, in the event loop of the test."""
    async with provisioned(TinyService(), FakeSandbox(), tmp_path / "d") as found:
        yield found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.skipif(os.geteuid() != 0, reason="to be another user needs root; to enable: sudo make test")
async def test_another_user_of_the_host_is_refused_before_tls(rig: Rig) -> None:
    async with tool_of(rig) as tool:
        host, port = tool.place
        readable = rig.folder.parent / "ca.pem"
        readable.write_bytes(Path(tool.address["ca"]).read_bytes())

        async def heard(user: int) -> str:
            command = [sys.executable, "-c", AS_USER, host, str(port), str(readable), str(user)]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
            return done.stdout.strip()

        assert await heard(STRANGER) == "closed"
        assert [each["user"] for each in rig.events("rest-refused")] == [STRANGER]
        assert await heard(0) == "HTTP/1.1 200 OK", "the same as the user who runs the device"


def test_a_socket_that_its_user_has_closed_is_nobodys() -> None:
    """The kernel shows such a socket as root's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            assert peer_user(accepted) == os.geteuid()
            client.close()
            assert peer_user(accepted) is None


def test_both_spellings_of_a_local_address_have_their_user() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        accepted, _ = server.accept()
        with accepted:
            assert peer_user(accepted) == os.geteuid()


async def test_a_name_of_somebody_else_and_a_web_page_get_nothing(rig: Rig) -> None:
    async with tool_of(rig) as tool:
        for host in (
            "evil.example",
            "localhost.evil.example",
            "devices.sphere.azure.local.evil.example",
            "",
            "a@localhost",
        ):
            assert (await tool.ask("GET", "/status", Host=host)).error == DENIED, host
        assert (await tool.ask("GET", "/status", Origin="https://evil.example")).error == DENIED
        assert (await tool.ask("GET", "/status", Sec_Fetch_Site="cross-site")).error == DENIED
        for host in (ANY_DEVICE, "any.devices.sphere.azure.local", "localhost", "127.0.0.1:443", "[::1]:443"):
            assert (await tool.ask("GET", "/status", Host=host)).status == 200, host


async def test_a_finished_device_tells_who_it_is_and_no_more_without_a_capability(rig: Rig) -> None:
    free = {"status", "device/security_state", "device/capabilities", "device/manufacturing_state"}
    async with tool_of(rig, ManufacturingState.DEVICE_COMPLETE) as tool:
        for route in routes():
            if route.method == "GET" and route.path in free:
                assert (await tool.ask("GET", f"/{route.path}")).status == 200, route
                continue
            answer = await tool.ask(route.method, "/" + route.path.format(uuid.UUID(int=1)), body={})
            if (route.method, route.path) == ("PUT", "device/capabilities"):  # of the service alone
                assert answer.status == 400
                assert (await tool.ask("GET", "/device/capabilities")).body == {"device_capabilities": []}
                continue
            assert answer.status == 403, route
            assert answer.body["error"] == (route.denied or azure_error.PERMISSION_DENIED), route
        allow(rig, capability_file.APP_DEVELOPMENT)
        assert (await tool.ask("GET", "/images")).status == 200
        assert (await tool.ask("GET", "/device/capabilities")).body == {
            "device_capabilities": [capability_file.APP_DEVELOPMENT]
        }


async def test_paths_that_lead_elsewhere_are_no_paths(rig: Rig) -> None:
    async with tool_of(rig) as tool:
        for path in (
            "/../status", "/app/quota/..", "/app/quota/%2e%2e", "/app/quota/..%2f..%2fetc", "/net/interfaces/a!b",
            "/net/interfaces/a%00b", "/status?x=1", "//status//x", "/app/status/1/2", "https://evil.example/status",
            "/certstore", "/net/interfaces/é",
        ):  # fmt: skip
            target = path.encode("utf-8").decode("latin-1")
            head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1")
            found = await tool.raw(head)
            assert found.split(b"\r\n")[0] in (
                b"HTTP/1.0 404 Not Found",
                b"HTTP/1.1 404 Not Found",
                b"HTTP/1.0 400 Bad Request",
            ), path
            assert b"REST-API-Version" in found, path
        odd = (await tool.ask("GET", "/app/quota/not-an-id")).error
        assert odd == (400, azure_error.INVALID_PARAMETER)
        assert (await tool.ask("GET", f"/app/status/{uuid.UUID(int=1)}")).body == {"state": "notPresent"}


async def test_hostile_bodies_are_refused_and_change_nothing(rig: Rig) -> None:
    place = "/device/manufacturing_state"
    invalid = (400, azure_error.INVALID_PARAMETER)
    async with tool_of(rig) as tool:
        for body in (
            "", "{", "null", "[]", "1", '"x"', "[" * 30_000, '{"manufacturingState":NaN}', b"\xff\xfe", "{}",
            '{"manufacturingState":7}', '{"manufacturingState":"Blank"}', '{"manufacturingState":"Unknown"}',
        ):  # fmt: skip
            assert (await tool.ask("PUT", place, body)).error == invalid, body[:40]
        huge = b" " * (MAX_JSON_BYTES + 1)
        assert (await tool.ask("PUT", place, huge)).error == (400, azure_error.CONTENT_TOO_LARGE)
        promised = await tool.ask("PUT", place, b"{}", Content_Length=str(1 << 40))
        assert promised.error == (400, azure_error.CONTENT_TOO_LARGE)
        packed = await tool.ask("PUT", place, b"{}", Content_Encoding="gzip")
        assert packed.error == invalid
        assert (await tool.ask("GET", place)).body == {"manufacturingState": "Blank"}
        moved = await tool.ask("PUT", place, {"manufacturingState": "Module1Complete"})
        assert moved.body == {"manufacturingState": "Module1Complete"}
        back = await tool.ask("PUT", place, {"manufacturingState": "Blank"})
        assert back.error == invalid, "there is no way back"


async def test_what_is_no_http_gets_no_word_of_it_back(rig: Rig) -> None:
    async with tool_of(rig) as tool:
        for data in (b"\x00" * 100 + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", b"X" * 100_000):
            found = await tool.raw(data)
            assert b"REST-API-Version" in found or not found
            assert found.split(b"\r\n")[0] == b"HTTP/1.0 400 Bad Request" or not found
        assert (await tool.ask("GET", "/status")).status == 200


async def test_silent_connections_hold_up_neither_the_device_nor_others_for_long(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "FIRST_REQUEST_S", 0.5)
    async with tool_of(rig) as tool:
        silent = [await asyncio.open_connection(*tool.place, ssl=tool.context) for _ in range(listener.MAX_CONNECTIONS)]
        with pytest.raises(OSError):
            await asyncio.open_connection(*tool.place, ssl=tool.context)
        checks = len(rig.service.checks)
        assert rig.device is not None
        rig.device.check_in_now()
        await until(lambda: len(rig.service.checks) > checks, "a check-in meanwhile")
        for reader, writer in silent:
            with contextlib.suppress(OSError):
                assert await reader.read() == b""
            writer.close()
        assert (await tool.ask("GET", "/status")).status == 200


async def test_a_network_gets_in_by_the_token_alone(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="everybody on the network"):
        rest_settings("0.0.0.0:0")
    secret = tmp_path / "token"
    secret.write_text("0123456789abcdef" * 2)
    with pytest.raises(InvalidArgumentError, match="other users"):
        rest_settings("0.0.0.0:0", token_file=secret)
    secret.chmod(0o600)
    settings = rest_settings("0.0.0.0:0", token_file=secret)
    assert settings is not None
    async with tool_of(rig, settings=settings) as tool:
        tool.context.check_hostname = False
        for given in ({}, {"Authorization": "Bearer 0"}, {"Authorization": secret.read_text()}):
            assert (await tool.ask("GET", "/status", **given)).error == DENIED
        allowed = await tool.ask("GET", "/status", Authorization=f"Bearer {secret.read_text()}")
        assert allowed.status == 200


async def test_an_application_that_may_reach_this_machine_does_not_reach_the_api(rig: Rig) -> None:
    async with tool_of(rig) as tool:
        host, port = tool.place
        for place in (host, "localhost", "0.0.0.0", "::ffff:127.0.0.1"):
            with pytest.raises(OSError) as refused:
                await connect_outside(place, port, patience_s=10)
            assert refused.value.errno == errno.EACCES, place
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = await connect_outside("127.0.0.1", other.getsockname()[1], patience_s=10)
        found.close()


# Another process of the same user, whose API listens.
OTHER_DEVICE = """
import socket, sys
from armillary.engines.sandbox.network.own_ports import own_port
with socket.socket() as api:
    api.bind(("127.0.0.1", 0))
    with own_port(api.getsockname()[1]):
        api.listen()
        print(api.getsockname()[1], flush=True)
        sys.stdin.read()
"""


async def test_an_application_does_not_reach_the_api_of_another_device_of_the_same_user() -> None:
    with killed_process([sys.executable, "-c", OTHER_DEVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as device:
        port = int(await asyncio.to_thread(device.readline))
        for reach in (lambda: connect_outside("127.0.0.1", port, patience_s=10), lambda: begin_outside("::1", port)):
            with pytest.raises(OSError) as refused:
                await reach()
            assert refused.value.errno == errno.EACCES
    with socket.create_server(("127.0.0.1", port)):
        found = await connect_outside("127.0.0.1", port, patience_s=10)
        found.close()


async def test_a_device_that_begins_to_listen_at_the_last_moment_is_not_reached_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as api, contextlib.ExitStack() as marks:
        port = api.getsockname()[1]
        for reach in (
            lambda: connect_outside("127.0.0.1", port, patience_s=10),
            lambda: begin_outside("127.0.0.1", port),
        ):
            monkeypatch.setattr(outside, "hold_port", lambda _: marks.enter_context(own_port(port)))
            with pytest.raises(OSError) as refused:
                await reach()
            assert refused.value.errno == errno.EACCES
            marks.close()


async def test_a_package_that_nobody_trusts_is_neither_kept_nor_run(rig: Rig) -> None:
    octets = {"Content_Type": "application/octet-stream"}
    stranger = rig.service.application(key=ec.generate_private_key(ec.SECP256R1()), component=5)
    own = rig.service.application(component=5)
    packages = rig.service.images
    async with tool_of(rig) as tool:
        limit = rig.device is not None and chip_profile("mt3620").limits.application_flash_bytes
        for body, error in (
            (b"", (400, azure_error.NO_IMAGE_PACKAGE)),
            (b"\0" * 1000, (400, azure_error.NO_IMAGE_PACKAGE)),
            (packages[str(own.image_id)][:-1], (400, azure_error.NO_IMAGE_PACKAGE)),
            (flipped(packages[str(own.image_id)]), (403, azure_error.IMAGE_NOT_TRUSTED)),
            (packages[str(stranger.image_id)], (403, azure_error.IMAGE_NOT_TRUSTED)),
            (b"\0" * (limit + 1), (400, azure_error.CONTENT_TOO_LARGE)),
        ):
            assert (await tool.ask("PUT", "/update/stage", body, **octets)).error == error
        typed = await tool.ask("PUT", "/update/stage", packages[str(own.image_id)])
        assert typed.error == (400, azure_error.INVALID_PARAMETER), "a package is no JSON"
        assert (await tool.ask("POST", "/update/install", {})).body == {}, "there is nothing to install"
        assert list((rig.folder / "run" / "staged").iterdir()) == [], "nothing was kept"
        assert rig.sandbox.alive == []
        assert (await tool.ask("PUT", "/update/stage", packages[str(own.image_id)], **octets)).status == 200
        assert (await tool.ask("POST", "/update/install", {"appControlMode": "Auto"})).status == 200
        await until(lambda: rig.sandbox.alive == ["app5"], "the application of the service runs")


async def test_while_an_update_is_under_way_nothing_is_loaded(rig: Rig) -> None:
    octets = {"Content_Type": "application/octet-stream"}
    rig.service.deploy(rig.service.application())
    own = rig.service.application(component=5)
    slow = replace(FAST, trial=TrialRules(healthy_s=600.0, exits_allowed=2, deadline_s=900.0))
    async with tool_of(rig, times=slow) as tool:
        await until(lambda: rig.status().get("installation") == "trial", "trial")
        assert (await tool.ask("GET", "/images")).body["is_ota_update_in_progress"] is True
        staged = await tool.ask("PUT", "/update/stage", rig.service.images[str(own.image_id)], **octets)
        assert staged.status == 200
        under_way = (409, azure_error.UPDATE_UNDER_WAY)
        assert (await tool.ask("POST", "/update/install", {})).error == under_way
        assert (await tool.ask("DELETE", f"/app/image/{uuid.UUID(int=1)}")).error == under_way
        stop = {"trigger": "stop"}
        assert (await tool.ask("PATCH", f"/app/status/{uuid.UUID(int=1)}", stop)).error == under_way
        assert rig.sandbox.alive == ["app1"]


async def test_servicing_loads_what_the_service_signed_and_controls_nothing(rig: Rig) -> None:
    octets = {"Content_Type": "application/octet-stream"}
    own = rig.service.application(component=5)
    async with tool_of(rig, ManufacturingState.DEVICE_COMPLETE) as tool:
        package = rig.service.images[str(own.image_id)]
        denied = await tool.ask("PUT", "/update/stage", package, **octets)
        assert denied.error == (403, azure_error.UPDATE_DENIED)
        allow(rig, capability_file.FIELD_SERVICING)
        assert (await tool.ask("PUT", "/update/stage", package, **octets)).status == 200
        assert (await tool.ask("POST", "/update/install", {})).status == 200
        control = await tool.ask("PATCH", f"/app/status/{own.component_id}", {"trigger": "stop"})
        assert control.error == (403, azure_error.APPLICATION_CONTROL_DENIED)
        await until(lambda: rig.sandbox.alive == ["app5"], "it runs")


async def test_no_answer_and_no_line_of_the_log_has_a_secret(rig: Rig) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    secrets = ("the-passphrase", "the-proxy-password", "the-key-password", key_line(key))
    async with tool_of(rig, settings=replace(REST, simulated_wifi=True)) as tool:
        proxy = {
            "enabled": True, "address": "proxy.example", "port": 1, "noProxyAddresses": [],
            "authenticationType": "basic", "username": "u", "password": secrets[1],
        }  # fmt: skip
        network = {"ssid": "x", "securityState": "psk", "psk": secrets[0]}
        sent = {"certType": "client", "publicCert": certificate(key), "privateKey": private(key, secrets[2])}
        for path, body in (
            ("/net/proxy", proxy),
            ("/wifi/config/networks", network),
            ("/certstore/certs/it", {**sent, "password": secrets[2]}),
        ):
            assert (await tool.ask("POST", path, body)).status == 200, path
        answers = [
            await tool.ask("GET", "/" + route.path.replace("{}", "it" if "cert" in route.path else "0"))
            for route in routes()
            if route.method == "GET"
        ]
        assert sum(each.status == 200 for each in answers) > 15
        told = "".join(str(each.body) for each in answers) + (rig.folder / "log" / "device.jsonl").read_text()
        assert "certstore/certs/it" in told
        for secret in secrets:
            assert secret not in told


async def test_interfaces_that_the_device_was_not_given_are_not_switched(rig: Rig) -> None:
    denied = (403, azure_error.INTERFACE_NOT_PERMITTED)
    names = [each.name for each in Path("/sys/class/net").iterdir() if each.name != "lo"]
    async with tool_of(rig, settings=replace(REST, simulated_wifi=True)) as tool:
        for name in (*names, "azspheresvc"):
            for up in (True, False):
                if name != "wlan0":
                    answer = await tool.ask("PATCH", f"/net/interfaces/{name}", {"interfaceUp": up})
                    assert answer.error == denied, name
        lo = await tool.ask("PATCH", "/net/interfaces/lo", {"interfaceUp": False})
        assert lo.error == (404, azure_error.INVALID_INTERFACE)
        for body in ({}, {"interfaceUp": 1}, {"interfaceUp": None}, []):
            odd = await tool.ask("PATCH", "/net/interfaces/wlan0", body)
            assert odd.error == (400, azure_error.INVALID_PARAMETER)
        assert (await tool.ask("PATCH", "/net/interfaces/wlan0", {"interfaceUp": False})).body == {}


def flipped(package: bytes) -> bytes:
    """One bit of the application's program is another."""
    at = package.index(b"sleep")
    return package[:at] + bytes([package[at] ^ 1]) + package[at + 1 :]


def key_line(key: ec.EllipticCurvePrivateKey) -> str:
    """A line of the key as text that is in no other."""
    return private(key).splitlines()[1]


async def test_the_plain_list_says_where_the_api_is_and_nothing_else(rig: Rig) -> None:
    async with tool_of(rig, settings=replace(REST, list_port=0)) as tool:
        port = int(tool.address["list"].split(":")[2].split("/")[0])

        async def get(path: str, host: str) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            found = await reader.read()
            writer.close()
            return found

        found = await get("/api/service/devices", f"localhost:{port}")
        listed = json.loads(found.split(b"\r\n\r\n")[1])
        assert listed == [{"IpAddress": "127.0.0.1", "DeviceConnectionPath": tool.address["url"]}]
        assert (await get("/api/service/devices", "evil.example")).startswith(b"HTTP/1.1 403")
        for path in ("/status", "/device/security_state", "/api/service/devices/", "/"):
            assert (await get(path, "localhost")).startswith(b"HTTP/1.1 404")


async def test_the_authority_of_the_api_vouches_for_no_web_site(rig: Rig) -> None:
    async with tool_of(rig) as tool:
        ca = Path(tool.address["ca"])
        assert tool_files(ca.parent) == {"ca.pem": 0o644, "ca-key.pem": 0o600}
        folder = rig.folder.parent / "forged"
        folder.mkdir()
        for name, fine in (("www.example.com", False), (f"x.{ANY_DEVICE[2:]}", True)):
            leaf = signed(folder, ca, name)
            done = subprocess.run(
                ["openssl", "verify", "-CAfile", ca, leaf], check=False, capture_output=True, text=True
            )
            assert (done.returncode == 0) is fine, done.stdout + done.stderr


def tool_files(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}


def signed(folder: Path, ca: Path, name: str) -> Path:
    """A server's certificate for a name by whoever stole the authority's key."""
    key, request, leaf, extensions = (folder / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
    extensions.write_text(f"subjectAltName=DNS:{name}\n")
    for command in (
        ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
         "-keyout", key, "-out", request],
        ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_name("ca-key.pem"), "-days", "2",
         "-extfile", extensions, "-out", leaf],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return leaf
