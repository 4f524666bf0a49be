# SPDX-License-Identifier: Apache-2.0
"""The device's 24-hour certificate, which the device replaces in its folder while the guardian runs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

END = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class DeviceCertificate:
    """The certificate in a folder with ``certificate.pem``, ``key.pem`` and ``ca.pem``; None where none is granted.

    With a ``catalog`` it has to be of that catalog: a device that has a new owner still runs the image of the one
    before, whose messages and attempts are not the new one's.
    """

    folder: Path | None
    catalog: str = ""

    def version(self) -> object:
        """Changes with every new certificate; None while there is none."""
        if self.folder is None:
            return None
        try:
            status = (self.folder / "certificate.pem").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def context(self) -> ssl.SSLContext:
        """A context with it, which trusts the service's root alone. Raises OSError where a file cannot be used."""
        if self.folder is None:
            raise FileNotFoundError("no certificate was granted")
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "certificate.pem", self.folder / "key.pem")
        if self.catalog:
            self._check_catalog(self.folder / "certificate.pem")  # Afterwards: it is not older than what was loaded
        return context

    def _check_catalog(self, path: Path) -> None:
        """The issuer's name has the catalog (``wire/certificates/certificate.py``); the device has verified it."""
        try:
            leaf = path.read_text("ascii").partition(END)[0] + END
            certificate = ssl.PEM_cert_to_DER_cert(leaf)
        except ValueError as error:
            raise OSError(f"the device's certificate cannot be read: {error}") from error
        if f" Issuing {self.catalog}".encode() not in certificate:
            raise PermissionError(f"the device is of another catalog than this image, {self.catalog}")
