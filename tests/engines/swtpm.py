# SPDX-License-Identifier: Apache-2.0
"""A software TPM of a test's own: manufactured with certificates of a CA in the same folder, on loopback."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import OwnProcess

from armillary.engines.root_of_trust import tpm_commands
from armillary.errors import RootOfTrustError

ENABLE = "sudo ./scripts/install-test-tools"
START_S = 20
PORTS = 3


def missing() -> str:
    """What keeps TPM tests from running on this machine, empty if nothing."""
    lacks = [program for program in ("swtpm", "swtpm_setup", "swtpm_localca") if shutil.which(program) is None]
    if importlib.util.find_spec("tpm2_pytss") is None:
        lacks.append("the Python package tpm2-pytss")
    if not list(Path("/usr/lib").glob("*/ossl-modules/tpm2.so")):
        lacks.append("OpenSSL's provider tpm2 (tpm2-openssl)")
    return f"{', '.join(lacks)}: missing; to enable: {ENABLE}" if lacks else ""


needs_tpm = pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")


@dataclass(frozen=True)
class SwTpm:
    """A running software TPM.

    Attributes:
        tcti: How to reach it.
        authority: Folder of the CA that stands for its maker.
    """

    tcti: str
    authority: Path

    @property
    def root(self) -> x509.Certificate:
        """The maker's root."""
        return x509.load_pem_x509_certificate((self.authority / "swtpm-localca-rootca-cert.pem").read_bytes())

    @property
    def issuer(self) -> x509.Certificate:
        """The certificate that signs endorsement certificates; it leads to the root."""
        return x509.load_pem_x509_certificate((self.authority / "issuercert.pem").read_bytes())

    @property
    def intermediates(self) -> tuple[bytes, ...]:
        return (self.issuer.public_bytes(Encoding.DER),)


@contextlib.contextmanager
def software_tpm(folder: Path) -> Iterator[SwTpm]:
    """Manufacture and start a TPM; ``folder`` is made absolute: with a relative one swtpm fails every command."""
    folder = folder.resolve()
    authority, state = folder / "ca", folder / "state"
    for one in (authority, state):
        one.mkdir(parents=True, exist_ok=True)
    (folder / "ca.conf").write_text(
        f"statedir = {authority}\nsigningkey = {authority}/signkey.pem\n"
        f"issuercert = {authority}/issuercert.pem\ncertserial = {authority}/certserial\n"
    )
    (folder / "ca.options").write_text(
        "--tpm-manufacturer id:41524D49\n--tpm-model test\n--tpm-version id:1\n--platform-manufacturer test\n--platform-version 1\n--platform-model test\n"
    )
    (folder / "setup.conf").write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca')}\ncreate_certs_tool_config = {folder}/ca.conf\n"
        f"create_certs_tool_options = {folder}/ca.options\nactive_pcr_banks = sha256\n"
    )
    setup = subprocess.run(
        ["swtpm_setup", "--tpm2", "--tpmstate", str(state), "--create-ek-cert", "--config", str(folder / "setup.conf")],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert setup.returncode == 0, setup.stdout + setup.stderr
    with _started(state) as tcti:
        yield SwTpm(tcti, authority)


@contextlib.contextmanager
def _started(state: Path) -> Iterator[str]:
    """Run swtpm on a port of its own, another one if somebody took the first meanwhile; its TCTI once it answers."""
    for _ in range(PORTS):
        port = reserved_port(2)  # its TCTI asks for neighbours
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}"]
        command += ["--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}"]
        command += ["--flags", "not-need-init,startup-clear"]
        with OwnProcess(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, limit_s=None) as process:
            tcti = f"swtpm:host=127.0.0.1,port={port}"
            if _answers(process, tcti):
                yield tcti
                return
    raise AssertionError(f"swtpm ended at once on {PORTS} ports: swtpm socket --tpm2 --tpmstate dir={state} says why")


def _answers(process: OwnProcess, tcti: str) -> bool:
    """Wait until the TPM takes commands, as its open port does not say that it does; False if swtpm ended."""
    deadline = time.monotonic() + START_S
    while process.poll() is None:
        with contextlib.suppress(RootOfTrustError), tpm_commands.connect(tcti):
            return True
        assert time.monotonic() < deadline, f"swtpm took no command in {START_S} s"
        time.sleep(0.05)
    return False
