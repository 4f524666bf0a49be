# SPDX-License-Identifier: Apache-2.0
"""What a machine is told at its first start: whole, or refused with a sentence."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fixtures.certificates import self_signed

from armillary import content
from armillary.boot import profile
from armillary.device.machine import enrolling
from armillary.device.state.layout import DeviceFolder
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.os_disk import OsDisk
from armillary.errors import (
    ArmillaryError,
    DataFolderError,
    InvalidArgumentError,
    OperatorError,
    ServiceUnreachableError,
)

with tempfile.TemporaryDirectory() as folder:
    CA = self_signed(Path(folder), "a service")[1]
WHOLE = {"service": "https://10.0.2.2:8443", "token": "secret", "ca": CA}


def test_what_is_left_out_is_filled_in() -> None:
    found = enrolling.parse_enrolment(json.dumps(WHOLE).encode())
    assert found == {**WHOLE, "chip": "gateway-x86-64", "root_of_trust": "tpm2", "sandbox": "linux"}


def test_what_the_guide_has_a_person_run_writes_one(tmp_path: Path) -> None:
    """The guide's line makes it of a service's root certificate and of what `enrolment-token create --json` printed."""
    page = (Path(__file__).parents[3] / "docs/guides/device-image.md").read_text("utf-8")
    found = re.search(r"^\$ (python3 -c '.*?' > enrolment\.json)$", page, re.DOTALL | re.MULTILINE)
    assert found is not None
    (tmp_path / "armillary-data").mkdir()
    (tmp_path / "armillary-data/root.pem").write_text(CA, "ascii")
    (tmp_path / "token.json").write_text(json.dumps({"secret": WHOLE["token"], "uses": 1}), "ascii")
    subprocess.run(["sh", "-c", found[1]], cwd=tmp_path, check=True, timeout=60)
    assert WHOLE.items() <= enrolling.parse_enrolment((tmp_path / "enrolment.json").read_bytes()).items()


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("{", "JSON that does not parse"),
        ("[]", "no object of texts"),
        (json.dumps({**WHOLE, "token": 3}), "no object of texts"),
        (json.dumps({"service": WHOLE["service"]}), "the fields service"),
        (json.dumps({**WHOLE, "rootoftrust": "x"}), "rootoftrust"),
        (json.dumps({**WHOLE, "service": "http://10.0.2.2"}), "http://10.0.2.2"),
        (json.dumps({**WHOLE, "service": "https://10.0.2.2:99999"}), "99999"),
        (json.dumps({**WHOLE, "service": "https://:8443"}), "the service 'https://:8443'"),
        (json.dumps({**WHOLE, "ca": ""}), "a ca that is no certificate"),
        (json.dumps({**WHOLE, "ca": CA.replace("A", "!")}), "a ca that is no certificate"),
        (json.dumps({**WHOLE, "ca": "\N{LATIN SMALL LETTER E WITH ACUTE}"}), "a ca that is no certificate"),
        ("[" * enrolling.MAX_BYTES, "JSON that does not parse"),
    ],
)
def test_anything_else_is_refused_by_name(told: str, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        enrolling.parse_enrolment(told.encode())


@pytest.mark.parametrize("token", ["", "my-secret\n", "my secret", "my-secret\r\nHost: x", "my-secr\N{EURO SIGN}t"])
def test_a_token_that_no_header_holds_is_refused_and_not_repeated(token: str) -> None:
    """A token that was copied with the end of its line would stand in http.client's error, and so on the console."""
    with pytest.raises(InvalidArgumentError, match="a token with what no token has") as refused:
        enrolling.parse_enrolment(json.dumps({**WHOLE, "token": token}).encode())
    assert "secr" not in f"{refused.value.message} {refused.value.remedy}"


def test_the_first_place_that_has_one_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = (tmp_path / "host", tmp_path / "disk")
    monkeypatch.setattr(enrolling, "PLACES", places)
    assert enrolling.read_enrolment() is None
    places[1].write_text(json.dumps(WHOLE))
    found = enrolling.read_enrolment()
    assert found is not None
    assert found["chip"] == "gateway-x86-64"
    places[0].write_text(json.dumps({**WHOLE, "chip": "imx8mp"}))
    found = enrolling.read_enrolment()
    assert found is not None
    assert found["chip"] == "imx8mp"


@pytest.mark.parametrize(
    ("chip", "own", "named"),
    [
        ("raspberry-pi-4", "gateway-arm64", "chip raspberry-pi-4: expected a slot for each"),
        ("gateway-arm64", "gateway-x86-64", "chip gateway-arm64: expected one of x86_64, as this machine is"),
        ("mt3620", "gateway-x86-64", "chip mt3620: expected one of x86_64"),
    ],
)
def test_a_chip_that_the_image_is_not_for_is_refused_before_the_token_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chip: str, own: str, named: str
) -> None:
    monkeypatch.setattr(enrolling, "CHIPS", {os.uname().machine: own})
    disk = OsDisk({"boot/unified-kernel-image": tmp_path, "boot/root-fs": tmp_path}, EfiBootSlots({}), "x")
    told = {**WHOLE, "chip": chip, "root_of_trust": "software", "sandbox": "linux"}
    with pytest.raises(DataFolderError, match=named):
        enrolling.enrol(DeviceFolder(tmp_path / "device"), told, disk)
    assert not (tmp_path / "device").exists()


def test_a_machine_knows_its_chip_by_its_device_tree(tmp_path: Path) -> None:
    tree = tmp_path / "compatible"
    tree.write_bytes(b"fsl,imx8mp-evk\0fsl,imx8mp\0")
    assert enrolling.this_chip(tree) == "gateway-imx8mp"
    tree.write_bytes(b"linux,dummy-virt\0")
    assert enrolling.this_chip(tree) == enrolling.this_chip(tmp_path / "none") == enrolling.CHIPS[os.uname().machine]


def test_a_processor_of_32_bits_is_a_machine_of_the_mt3620s_class() -> None:
    chip = profile.parse(content.chip_document(enrolling.CHIPS["armv7l"]))
    assert (chip.name, chip.architecture) == ("mt3620-class", "armv7")
    assert [core.kind for core in chip.cores] == ["high-level", "real-time", "real-time"]
    for machine, name in enrolling.CHIPS.items():
        assert next(each.chip for each in ARCHITECTURES.values() if each.machine == machine) == name


def test_a_certificate_of_another_authority_is_said(tmp_path: Path) -> None:
    chain, _, _ = self_signed(tmp_path, "a service", hosts=("127.0.0.1",))
    answering = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    answering.load_cert_chain(chain)
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        pool.submit(_shake_hands, listening, answering)
        service = f"https://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ServiceUnreachableError, match="ca does not vouch for the service's certificate") as refused:
            enrolling._Factory(service, "secret", CA).post("devices", {})
    assert "root certificate of this service" in refused.value.remedy


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listening.accept()
    with connection, contextlib.suppress(ssl.SSLError, OSError):
        context.wrap_socket(connection, server_side=True).close()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (400, OperatorError, "refuses the enrolment"),
        (429, ServiceUnreachableError, "has no answer now"),
        (503, ServiceUnreachableError, "has no answer now"),
    ],
)
def test_what_a_service_answers_is_said_with_what_it_says_to_do(
    monkeypatch: pytest.MonkeyPatch, code: int, kind: type[ArmillaryError], words: str
) -> None:
    """A refusal ends the creation, and its keys; that there is no answer now leaves them to be asked about again."""

    class Answering:
        status = code

        def __init__(self, *_: object, **__: object) -> None:
            self.close = self.request = lambda *_: None

        def getresponse(self) -> Answering:
            return self

        def read(self, _: int) -> bytes:
            return json.dumps({"detail": "no trusted root", "remedy": "Add it to the folder tpm-roots."}).encode()

    monkeypatch.setattr(http.client, "HTTPSConnection", Answering)
    with pytest.raises(kind, match=rf"{words} \({code}\): no trusted root") as refused:
        enrolling._Factory("https://10.0.2.2", "secret", CA).post("tpm-devices", {})
    assert refused.value.remedy == "Add it to the folder tpm-roots."
