# SPDX-License-Identifier: Apache-2.0
"""The first start of a machine: it is told whose device it shall be, and enrols itself there.

What it is told is one JSON object, read from the first place that has it: what a virtual machine is given by its host
(QEMU's ``-fw_cfg name=opt/armillary/enrolment``), or ``enrolment.json`` on the data partition. It names the service,
the service's root certificate and an enrolment token; the token is spent by the enrolment and worthless afterwards.
Once there is a device, nobody asks again.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from armillary import __version__
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.os_disk import OsDisk
from armillary.errors import DataFolderError, InvalidArgumentError, OperatorError, ServiceUnreachableError
from armillary.update.install.component import SLOTS, os_region

PLACES: Final = (
    Path("/sys/firmware/qemu_fw_cfg/by_name/opt/armillary/enrolment/raw"),
    Path("/data/enrolment.json"),
)
MAKES_DEVICE: Final = "tpm-devices"
MAX_BYTES: Final = 64 << 10
TIMEOUT_S: Final = 60.0
# It says no more with this than that it has no time now: what it may have made before stays good.
_LATER: Final = frozenset({http.client.TOO_MANY_REQUESTS})
_NEEDED: Final = {"service", "token", "ca"}
# It is sent in a header. http.client refuses what none can hold, too, and repeats it in its error.
_TOKEN: Final = re.compile(r"[!-~]+")
# What a machine is where it is not told, by what its kernel calls itself (uname -m).
CHIPS: Final[Mapping[str, str]] = {
    "x86_64": "gateway-x86-64",
    "aarch64": "gateway-arm64",
    "armv7l": "mt3620-class",
}
# By the chip that a device tree says it is for; who has none, or another one, goes by the above.
COMPATIBLE: Final = Path("/proc/device-tree/compatible")
CHIPS_BY_TREE: Final[Mapping[bytes, str]] = {b"fsl,imx8mp": "gateway-imx8mp"}
_KNOWN: Final = {*_NEEDED, "chip", "root_of_trust", "sandbox"}


def read_enrolment() -> dict[str, str] | None:
    """What the machine was told; None if it was told nothing.

    Raises:
        InvalidArgumentError: it was told something else than an enrolment.
    """
    for place in PLACES:
        try:
            with place.open("rb") as file:
                data = file.read(MAX_BYTES)
        except OSError:
            continue
        return parse_enrolment(data)
    return None


def parse_enrolment(data: bytes) -> dict[str, str]:
    """A checked enrolment; fields that may be left out are filled in."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"JSON that does not parse ({error})") from error
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise _wrong("no object of texts")
    if not told.keys() >= _NEEDED or not told.keys() <= _KNOWN:
        raise _wrong(f"the fields {', '.join(sorted(told))}")
    if not _is_service(told["service"]):
        raise _wrong(f"the service {told['service']!r:.80}")
    if not _TOKEN.fullmatch(told["token"]):  # which is a secret, and not repeated
        raise _wrong("a token with what no token has, such as the end of a line or a space")
    if not told["ca"].isascii():
        raise _wrong("a ca that is no certificate in PEM (it is not ASCII)")
    try:
        ssl.create_default_context(cadata=told["ca"] or "none")
    except ssl.SSLError as error:
        raise _wrong(f"a ca that is no certificate in PEM ({error.reason or error})") from error
    return {"chip": this_chip(), "root_of_trust": "tpm2", "sandbox": "linux", **told}


def this_chip(compatible: Path = COMPATIBLE) -> str:
    """What this machine is where it is not told."""
    try:
        words = compatible.read_bytes().split(b"\0")
    except OSError:
        words = []
    return next((CHIPS_BY_TREE[word] for word in words if word in CHIPS_BY_TREE), CHIPS[os.uname().machine])


def _is_service(text: str) -> bool:
    """Whether this is the address of a service."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:  # a port that is none
        return False


def enrol(folder: DeviceFolder, told: Mapping[str, str], disk: OsDisk) -> None:
    """Make this machine a device of the service, of the OS that is on its disk.

    Which release that is, is known before anything is made here or there: the token is not spent for a machine whose OS
    the service does not know. What is newer comes as an update.

    Raises:
        DataFolderError: no release that the service has is what is on the disk, or the chip has other components.
        ServiceUnreachableError: it does not answer, or not as one.
        OperatorError: it refuses, with its own words.
        RootOfTrustError: the TPM fails.
    """
    from armillary.device.boot.flashed_os import find_os  # noqa: PLC0415 - as the next one
    from armillary.device.boot.provision import provision  # noqa: PLC0415 - a machine that is told nothing waits without
    from armillary.device.boot.startup import chip_profile  # noqa: PLC0415
    from armillary.identity.manufacturing import ManufacturingState  # noqa: PLC0415

    chip = chip_profile(told["chip"])
    own = chip_profile(CHIPS[os.uname().machine])
    if chip.architecture != own.architecture:
        raise DataFolderError(
            f"chip {chip.name}: expected one of {own.architecture}, as this machine is, got one of {chip.architecture}",
            remedy="Name the chip that this device image is for in the enrolment.",
        )
    wanted, found = {os_region(each.name, SLOTS[0]) for each in chip.boot_components}, disk.nodes.keys()
    if not wanted <= found:
        raise DataFolderError(
            f"chip {chip.name}: expected a slot for each of its boot components, found {', '.join(sorted(found))}",
            remedy="Name the chip that this device image is for in the enrolment.",
        )
    factory = _Factory(told["service"], told["token"], told["ca"])
    version = find_os(disk.nodes, factory.get(f"releases?chip={quote(told['chip'])}"))
    of_disk = {"is_flashed": True, "os_version": version}
    provision(
        folder,
        chip=told["chip"],
        root_of_trust=told["root_of_trust"],
        sandbox=told["sandbox"],
        operator_api=told["service"],
        factory=lambda csr, chip: factory.post("devices", {"csr": csr, "chip": chip, **of_disk}),
        tpm_factory=factory.tpm(of_disk) if told["root_of_trust"] == "tpm2" else None,
        state=ManufacturingState.DEVICE_COMPLETE,
        disk=disk,
        begins_anew=True,
    )


class _Factory:
    """The service's factory routes, over a connection for each question."""

    def __init__(self, service: str, token: str, ca: str) -> None:
        parts = urlsplit(service)
        self._service = service
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._token = token
        self._context = ssl.create_default_context(cadata=ca)

    def tpm(self, of_disk: Mapping[str, Any]) -> Callable[[str, Mapping[str, Any]], Any]:
        """As :meth:`post`; where it makes a device, with what its disk has."""
        return lambda route, body: self.post(route, {**body, **(of_disk if route == MAKES_DEVICE else {})})

    def post(self, route: str, body: Mapping[str, Any]) -> Any:
        """POST to a route under ``/factory``; its JSON answer."""
        return self._ask("POST", route, json.dumps(body))

    def get(self, route: str) -> Any:
        """GET of a route under ``/factory``; its JSON answer."""
        return self._ask("GET", route, None)

    def _ask(self, method: str, route: str, body: str | None) -> Any:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._context)
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": f"armillary-device/{__version__}",
        }
        try:
            connection.request(method, f"/api/v1/factory/{route}", body, headers)
            response = connection.getresponse()
            answer = json.loads(response.read(16 << 20))
        except ssl.SSLCertVerificationError as error:
            raise ServiceUnreachableError(
                f"{self._service}: the enrolment's ca does not vouch for the service's certificate "
                f"({error.verify_message or error})",
                remedy="Put the root certificate of this service into the enrolment's ca, and the name or address of "
                "its certificate into its service.",
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceUnreachableError(f"{self._service}: no answer ({error or type(error).__name__})") from error
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            said = answer if isinstance(answer, dict) else {}
            is_refused = response.status < http.client.INTERNAL_SERVER_ERROR and response.status not in _LATER
            why = f"({response.status}): {said.get('detail') or 'without a word'}"
            remedy = str(said.get("remedy") or "Look at the log of the service.")
            if not is_refused:
                raise ServiceUnreachableError(f"{self._service} has no answer now {why}", remedy=remedy)
            raise OperatorError(f"{self._service} refuses the enrolment {why}", remedy=remedy)
        return answer


def _wrong(got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"enrolment: expected a JSON object with service, token and ca, got {got}",
        remedy="Write it as docs/guides/device-image.md shows.",
    )
