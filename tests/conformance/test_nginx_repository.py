# SPDX-License-Identifier: Apache-2.0
"""A stock nginx serves the repository's folder; python-tuf's own client, over real HTTP, installs from it."""

from __future__ import annotations

import http.client
import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.guides.blocks import block_of
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until
from tuf.ngclient import Updater

from armillary.service.assemble import SecurityService
from armillary.service.repository.roles import os_path
from armillary.settings import Settings

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: sudo apt-get install nginx")

# Around the server of docs/guides/release-keys.md.
CONFIGURATION = """
user {user};
daemon off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    {server}
}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecurityService]:
    service = SecurityService.open(Settings(data=tmp_path_factory.mktemp("nginx-repository") / "data"))
    service.repository.publish()
    yield service
    service.context.records.close()
    service.context.folder.close()


@pytest.fixture(scope="module")
def port(service: SecurityService) -> Iterator[int]:
    folder, port = service.context.folder.path.parent, reserved_port()
    server = block_of("docs/guides/release-keys.md", "armillary.conf")
    for of_the_page, here in (
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        ("/var/lib/armillary/repository", str(service.repository.files.folder)),
    ):
        assert server.count(of_the_page) == 1
        server = server.replace(of_the_page, here)
    configuration = CONFIGURATION.format(user=pwd.getpwuid(os.getuid()).pw_name, folder=folder, server=server)
    (folder / "nginx.conf").write_text(configuration)
    options = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with (folder / "log").open("wb") as log, killed_process(options, stderr=log, limit_s=None) as process:
        wait_until(lambda: _answers(port) or process.poll() is not None, "nginx")
        assert process.poll() is None, (folder / "log").read_text()
        yield port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_an_unmodified_client_installs_from_an_unmodified_web_server(
    service: SecurityService, port: int, tmp_path: Path
) -> None:
    updater = Updater(
        str(tmp_path),
        f"http://127.0.0.1:{port}/metadata/",
        str(tmp_path),
        f"http://127.0.0.1:{port}/targets/",
        bootstrap=service.repository.root(),
    )
    updater.refresh()
    release = service.releases.newest("imx8mp")
    packages = service.releases.packages(release)
    for component in release.components:
        info = updater.get_targetinfo(os_path("imx8mp", release.version, component.name))
        assert info is not None
        assert Path(updater.download_target(info)).read_bytes() == packages[component.name]


def test_ranges_resume_and_nothing_else_of_the_data_is_served(service: SecurityService, port: int) -> None:
    release = service.releases.newest("imx8mp")
    component = release.components[0]
    folder, _, name = os_path("imx8mp", release.version, component.name).rpartition("/")
    path = f"/targets/{folder}/{component.digest.hex()}.{name}"
    whole = service.releases.packages(release)[component.name]
    assert get(port, path) == (200, whole)
    assert get(port, path, Range="bytes=100-") == (206, whole[100:])
    assert get(port, path, Range=f"bytes={len(whole)}-")[0] == 416
    for hidden in ("/pending/root.json", "/../keys/root.pem", "/metadata/../../records.db", "/"):
        assert get(port, hidden)[0] in (400, 404)
