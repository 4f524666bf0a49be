# SPDX-License-Identifier: Apache-2.0
"""The service link of a machine: the cable between it and the computer that it is attached to, as tools use it.

Azure Sphere's development boards have it at USB (serial, SLIP): the device is 192.168.35.2 on it, the computer
192.168.35.1, and the device calls its side ``azspheresvc``. A virtual machine has a network card for it, known by its
hardware address, and is told by its host (QEMU's ``-fw_cfg``) the secret that each connection begins with. It says on
its console which certificate its API's is under.
"""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from armillary.errors import WireError

CARD: Final = "02:61:72:6d:00:02"
INTERFACE: Final = "azspheresvc"
NETWORK: Final = IPv4Network("192.168.35.0/24")
DEVICE, COMPUTER = IPv4Address("192.168.35.2"), IPv4Address("192.168.35.1")
PORT: Final = 443
# Under which the machine is told what each connection begins with; that has so many bytes.
HANDED_AS: Final = "opt/armillary/service-link"
SECRET_BYTES: Final = 32
# A device's authority has some 600 bytes.
MAX_CERTIFICATE_BYTES: Final = 4096
_SAID: Final = "service link: certificate "
# The line's first words, behind what the kernel may have put before them: what an application prints follows others.
_LINE: Final = re.compile(rf"(?:(?!armillary: ).)*armillary: {_SAID}([A-Za-z0-9+/]+={{0,2}})\s*")


def line_of(certificate: bytes) -> str:
    """What a machine says of the certificate (DER) that its API's is under."""
    return f"{_SAID}{base64.b64encode(certificate).decode('ascii')}"


def parse_line(line: str) -> bytes | None:
    """The certificate that a line of a machine's console tells; None for all other lines.

    Raises:
        WireError: it tells one, and none that could be.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    try:
        certificate = base64.b64decode(found[1], validate=True)
    except binascii.Error as error:
        raise WireError("service-link", expected="base64", got=repr(found[1][:40])) from error
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        raise WireError(
            "service-link", expected=f"at most {MAX_CERTIFICATE_BYTES} bytes", got=f"{len(certificate)} bytes"
        )
    return certificate
