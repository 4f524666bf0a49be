# SPDX-License-Identifier: Apache-2.0
"""Device authentication for applications: the 24-hour certificate and its key, as files.

::

    daa/certificate.pem -> current/certificate.pem      client certificate: all that the hub needs
    daa/chain.pem       -> current/chain.pem            its issuers below the root, for servers that do not know them
    daa/key.pem         -> current/key.pem              a new key for every certificate; mode 0600, or 0640 for the
                                                     group of applications with the capability when run by root
    daa/ca.pem          -> current/ca.pem               the service's root, to check the hub against
    daa/current         -> generation-N

A new certificate is written as a new generation; moving the one link ``current`` switches all files at
once, so certificate and key always belong together, also after ``kill -9``.
``generation-N/boot`` names the boot log head the certificate was issued for: a boot that measures differently
finds no certificate.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

from armillary.device.state.layout import replace_file
from armillary.engines.sandbox.within.image_root import share_with_group

_FILES = ("certificate.pem", "chain.pem", "key.pem", "ca.pem")


class DeviceAuthentication:
    """The folder that applications with the DeviceAuthentication capability see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        share_with_group(folder)
        for name in _FILES:
            link = folder / name
            if not link.is_symlink():
                link.symlink_to(f"current/{name}")

    @property
    def ready(self) -> bool:
        """Whether a certificate is there (it may have expired: the hub decides)."""
        return (self.folder / "certificate.pem").exists() and (self.folder / "key.pem").exists()

    def expires(self) -> int | None:
        """End of the certificate's life, Unix seconds, or None without one."""
        try:
            certificate = load_pem_x509_certificate((self.folder / "certificate.pem").read_bytes())
        except (OSError, ValueError):
            return None
        return int(certificate.not_valid_after_utc.timestamp())

    def store(
        self, chain: Sequence[bytes], key: ec.EllipticCurvePrivateKey, *, service_root: bytes, log_head: bytes
    ) -> None:
        """Put a new certificate in force: DER ``chain``, leaf first, and the leaf's private ``key``.

        ``service_root`` is PEM; ``log_head`` is that of the boot log which the certificate was issued for.
        """
        number = 1 + max((_number(entry) for entry in self.folder.glob("generation-*")), default=0)
        generation = self.folder / f"generation-{number}"
        generation.mkdir(mode=0o700)
        leaf, *issuers = (load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM) for der in chain)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        replace_file(generation / "boot", log_head.hex().encode(), mode=0o600)
        replace_file(generation / "ca.pem", service_root, mode=0o600)
        replace_file(generation / "certificate.pem", leaf, mode=0o600)
        replace_file(generation / "chain.pem", b"".join(issuers), mode=0o600)
        replace_file(generation / "key.pem", private, mode=0o600)
        for path in (generation, *(generation / name for name in _FILES)):
            share_with_group(path)
        fresh = self.folder / "current.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(generation.name)
        fresh.replace(self.folder / "current")
        self._remove_generations(except_for=generation.name)

    def withdraw(self) -> None:
        """Take the certificate away from applications."""
        (self.folder / "current").unlink(missing_ok=True)
        self._remove_generations(except_for="")

    def keep_only_for(self, log_head: bytes) -> None:
        """Withdraw a certificate that was issued for a boot that measured differently."""
        try:
            issued_for = (self.folder / "current" / "boot").read_text("ascii")
        except (OSError, ValueError):
            issued_for = ""
        if issued_for != log_head.hex():
            self.withdraw()

    def _remove_generations(self, *, except_for: str) -> None:
        for entry in self.folder.glob("generation-*"):
            if entry.name != except_for:
                shutil.rmtree(entry, ignore_errors=True)


def _number(entry: Path) -> int:
    tail = entry.name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else 0
