# SPDX-License-Identifier: Apache-2.0
"""A SoftHSM 2 token in a folder of its own, for tests of keys in a PKCS #11 token."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from armillary.engines.signer.pkcs11 import TokenAddress

PIN = "2468-armillary"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")
MODULE = next((Path(one) for one in MODULES if Path(one).exists()), None)

if shutil.which("softhsm2-util") is None or MODULE is None:
    REASON = "needs SoftHSM: sudo apt-get install softhsm2"
elif importlib.util.find_spec("pkcs11") is None:
    REASON = "needs python-pkcs11: uv sync --extra pkcs11"
else:
    REASON = ""

needs_softhsm = pytest.mark.skipif(bool(REASON), reason=REASON)


def make_token(folder: Path, label: str, monkeypatch: pytest.MonkeyPatch, pin: str = PIN) -> TokenAddress:
    """Make a token. One process has one SoftHSM: its configuration is read when the module is first used."""
    assert MODULE is not None
    configure(monkeypatch)
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "so-pin-1", "--pin", pin]
    subprocess.run(command, check=True, capture_output=True)
    pin_file = folder / "pin"
    pin_file.write_text(pin + "\n")
    pin_file.chmod(0o600)
    return TokenAddress(MODULE, label, pin_file)


_home: list[Path] = []


def remove() -> None:
    """The SoftHSM of this process goes with it (``tests/conftest.py``)."""
    while _home:
        shutil.rmtree(_home.pop(), ignore_errors=True)


def configure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one SoftHSM of this test process, in a folder that lives as long as the process."""
    import tempfile  # noqa: PLC0415 - only where there is a SoftHSM

    if not _home:
        home = Path(tempfile.mkdtemp(prefix="softhsm-"))
        (home / "tokens").mkdir()
        (home / "softhsm2.conf").write_text(f"directories.tokendir = {home}/tokens\nlog.level = ERROR\n")
        _home.append(home)
    monkeypatch.setenv("SOFTHSM2_CONF", str(_home[0] / "softhsm2.conf"))
