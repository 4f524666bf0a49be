# SPDX-License-Identifier: Apache-2.0
"""One machine's service link while it runs, and what tools of this host find of it in the machine's folder.

``service-link/link.json`` says where the device's API is, and ``service-link/ca.pem`` is the certificate to trust: the
machine has said it on its console, which nobody but this host reads. Both are there while the machine's API is served.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from armillary.device_image.service_link.door import HOST, Door
from armillary.device_image.virtual_machine import alone
from armillary.engines.durable import not_writable, write_file
from armillary.errors import WireError
from armillary.wire.device_image import service_link as wire

FOLDER: Final = "service-link"
LINK, CERTIFICATE, SECRET = "link.json", "ca.pem", "secret"
# In the machine's folder: a second start must not take the link from the first.
LOCK: Final = "service-link.lock"


class ServiceLink:
    """The computer's side of one machine's service link. ``words`` are QEMU's for it."""

    def __init__(self, folder: Path, forwarded: int, door: Door) -> None:
        self._folder = folder
        self.url = f"https://{HOST}:{door.port}"
        self.words = (
            *("-netdev", ",".join(["user,id=service-link,restrict=on,ipv6=off", *_places(forwarded)])),
            *("-device", f"virtio-net-pci,netdev=service-link,mac={wire.CARD},romfile="),
            *("-fw_cfg", f"name={wire.HANDED_AS},file={folder / SECRET}"),
        )

    def hear(self, line: str) -> str | None:
        """What a line of the machine's console means for its tools, in words; None where it means nothing."""
        try:
            certificate = wire.parse_line(line)
        except WireError:  # garbled on its way: the machine says it again at its next start
            return None
        if certificate is None:
            return None
        write_file(self._folder / CERTIFICATE, ssl.DER_cert_to_PEM_cert(certificate).encode("ascii"), mode=0o644)
        write_file(self._folder / LINK, json.dumps({"url": self.url}).encode("ascii"), mode=0o644)
        return f"service link: {self.url}, certificate {self._folder / CERTIFICATE}"


@contextlib.contextmanager
def service_link(machine: Path) -> Iterator[ServiceLink]:
    """A link for the machine of this folder; it is gone when the block ends.

    Raises:
        DataFolderInUseError: the machine runs with a link already, which stays as it is.
        DataFolderError: the folder cannot be written.
    """
    folder = machine.absolute() / FOLDER
    secret = secrets.token_bytes(wire.SECRET_BYTES)
    with alone(machine, LOCK):
        _begin(folder, secret)
        forwarded = _free_port()
        door = Door(forwarded, secret)
        try:
            yield ServiceLink(folder, forwarded, door)
        finally:
            door.close()
            shutil.rmtree(folder, ignore_errors=True)


def _begin(folder: Path, secret: bytes) -> None:
    """Make the link's folder anew, with the secret that QEMU hands the machine."""
    try:
        if folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "it is a symbolic link")
        if folder.exists():  # of a start that was killed
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder / SECRET, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(secret)
    except OSError as error:
        raise not_writable(folder, error) from error


def found_link(machine: Path) -> tuple[str, Path] | None:
    """Where the API of the machine of a folder is, and the certificate to trust; None where it serves none now."""
    try:
        url = json.loads((machine / FOLDER / LINK).read_bytes())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(url), machine / FOLDER / CERTIFICATE


def _places(forwarded: int) -> tuple[str, ...]:
    """The link's network and its ends, and the port of this host whose connections QEMU hands on."""
    to = f"tcp:{HOST}:{forwarded}-{wire.DEVICE}:{wire.PORT}"
    return (f"net={wire.NETWORK}", f"host={wire.COMPUTER}", f"hostfwd={to}")


def _free_port() -> int:
    """A port that nobody has; QEMU ends with a sentence where somebody takes it before QEMU does."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
