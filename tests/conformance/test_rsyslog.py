# SPDX-License-Identifier: Apache-2.0
"""rsyslog, as Debian has it, reads what a syslog channel sends: over UDP, TCP and TLS, part by part as RFC 5424 names them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.certificates import self_signed
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import OwnProcess
from tests.fixtures.waiting import wait_while
from tests.wire.notification.events import event

from armillary.engines.outbound import syslog
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.wire.notification import syslog as syslog_message

RSYSLOGD = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
TLS = list(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so"))
pytestmark = pytest.mark.skipif(
    RSYSLOGD is None or not TLS, reason="no rsyslog with TLS; to enable: sudo apt-get install rsyslog rsyslog-openssl"
)
HOSTS = AllowedHosts.parse("127.0.0.1, localhost")
PARTS = ("pri", "timereported", "hostname", "app-name", "procid", "msgid", "structured-data", "msg", "inputname")
EVIL = 'quote " slash \\ bracket ] \n<0>1 forged \x1b[31m é \u202e'


@dataclass
class Receiver:
    ports: dict[str, int]
    authority: str
    file: Path
    process: OwnProcess

    def check(self) -> None:
        assert self.process.poll() is None, f"rsyslogd ended with {self.process.returncode}"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("rsyslog")
    certificate, pem, _ = self_signed(folder, "rsyslog", hosts=["localhost"])
    first = reserved_port(3)
    ports = {"udp": first, "tcp": first + 1, "tls": first + 2}
    properties = "\n".join(f'property(outname="{each}" name="{each}" format="jsonf")' for each in PARTS)
    tls = 'streamdriver.name="ossl" streamdriver.mode="1" streamdriver.authmode="anon"'
    (folder / "rsyslog.conf").write_text(
        f"""
global(workDirectory="{folder}" parser.escapeControlCharactersOnReceive="off"
       defaultNetstreamDriverCAFile="{certificate}" defaultNetstreamDriverCertFile="{certificate}"
       defaultNetstreamDriverKeyFile="{certificate}")
module(load="imudp") input(type="imudp" address="127.0.0.1" port="{ports["udp"]}" name="udp")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{ports["tcp"]}" name="tcp")
input(type="imtcp" address="127.0.0.1" port="{ports["tls"]}" name="tls" {tls})
template(name="parts" type="list" option.jsonf="on") {{
{properties}
}}
action(type="omfile" file="{folder}/got" template="parts")
"""
    )
    command = [RSYSLOGD, "-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"]
    with OwnProcess(command, stdout=(folder / "log").open("w"), stderr=-2) as process:
        found = Receiver(ports, pem, folder / "got", process)
        wait_while(found.check, (folder / "pid").exists, "rsyslogd to start")
        yield found
        process.end()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_every_part_arrives_as_it_was_meant(receiver: Receiver, transport: str) -> None:
    messages = [
        syslog_message.message(
            event("finding.opened", title=f"{transport} {number}", text=EVIL),
            host="service.example", facility=16, sequence=number, catalog=EVIL,
        )
        for number in (1, 2)
    ]  # fmt: skip

    def sent() -> bool:
        try:
            syslog.send(
                messages, "localhost" if transport == "tls" else "127.0.0.1", receiver.ports[transport], transport,
                HOSTS, authority=receiver.authority,
            )  # fmt: skip
        except OSError:  # it does not listen yet
            return False
        return transport != "udp" or arrived()  # a datagram to nobody is lost

    def arrived() -> bool:
        return sum(each["inputname"] == transport for each in receiver.lines()) >= 2

    wait_while(receiver.check, sent, f"rsyslogd to take messages over {transport}")
    wait_while(receiver.check, arrived, f"the messages over {transport}")
    found = [each for each in receiver.lines() if each["inputname"] == transport][:2]
    for number, each in enumerate(found, 1):
        assert {name: each[name] for name in ("pri", "hostname", "app-name", "procid", "msgid")} == {
            "pri": "131", "hostname": "service.example", "app-name": "armillary", "procid": "-",
            "msgid": "finding.opened",
        }  # fmt: skip
        assert f'[meta sequenceId="{number}"]' in each["structured-data"]
        assert 'catalog="quote \\" slash \\\\ bracket \\] <0>1 forged [31m é"' in each["structured-data"]
        assert each["msg"].lstrip("\ufeff") == f'{transport} {number} quote " slash \\ bracket ] <0>1 forged [31m é'
