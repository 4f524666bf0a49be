# SPDX-License-Identifier: Apache-2.0
"""Devices that check in as fast as the service lets them, in a process of their own.

``python -m bench.checkin_load DEVICES.BIN PORT MODE TOTAL``: MODE ``kept`` uses one connection per device for all its
check-ins, ``new`` opens one for each. Every reply must say "attested". Prints how many were made.

A device here does what it must (answer the challenge of the last reply, sign with its alias key) and nothing else: its
first request is built by the product's own code, and later ones are that request with another challenge and signature.
Otherwise the load costs more than the service, which then waits half of its time and is woken for each request alone:
that measures the waking. A kept check-in takes 90 us here, a quarter of the service's time.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from armillary.attest.challenge import CHALLENGE_BYTES
from armillary.sim.prover import Prover
from armillary.sim.wire_device import WireDevice, components_of
from armillary.wire.cose import SIGNATURE_BYTES

_ECDSA = ec.ECDSA(hashes.SHA256())
_PLACE = b"\xa5" * CHALLENGE_BYTES  # stands where the challenge goes
_VERDICT, _CHALLENGE = 1, 8  # items of a reply


class LoadDevice:
    """A device with one prepared request.

    Args:
        device: Not connected.
    """

    def __init__(self, device: WireDevice) -> None:
        self.device, self.context = device, device.tls_context()
        self._socket = device.connect(self.context)
        device.check_in()  # as honest devices do
        self.challenge = device.challenge
        body = device.request_body(_PLACE)
        evidence = cbor2.loads(body)[1]
        protected, _, payload, signature = cbor2.loads(evidence[1:])  # without tag 18
        signed = cbor2.dumps(["Signature1", protected, b"", payload])
        head = f"POST /v1/check-in HTTP/1.1\r\nhost: {device.host}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        before, rest = (head + body).split(_PLACE)
        between, after = rest.split(signature)
        self._request = before, between, after
        self._signed = signed.split(_PLACE)

    def send(self) -> None:
        """Answer the last challenge."""
        before, after = self._signed
        r, s = decode_dss_signature(self.device.prover.alias.sign(before + self.challenge + after, _ECDSA))
        signature = (r << 256 | s).to_bytes(SIGNATURE_BYTES, "big")
        before, between, after = self._request
        self._socket.sendall(b"".join((before, self.challenge, between, signature, after)))

    def receive(self) -> None:
        """Take the reply; it has the next challenge.

        Raises:
            SystemExit: it is no certificate.
        """
        data = self._socket.recv(65536)
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        reply = cbor2.loads(body)
        if not head.startswith(b"HTTP/1.1 200") or reply[_VERDICT] != "attested":
            raise SystemExit(f"not attested: {head!r} {reply!r}")
        self.challenge = reply[_CHALLENGE]

    def reconnect(self) -> None:
        """A new connection in place of the last."""
        self._socket = self.device.connect(self.context)

    def _more(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise SystemExit("the connection ended before a whole reply")
        return chunk


def prepared(file: Path, port: int) -> list[LoadDevice]:
    """The devices, each connected and with one check-in behind it."""
    devices = []
    for uds, reply in pickle.loads(file.read_bytes()):
        prover = Prover(
            uds=uds,
            components=components_of(reply.boot_packages),
            service_name=reply.service_name,
            os_version=reply.os_version,
            boot_count=int(time.time()),  # every run is a new boot, and boots only count up
        )
        devices.append(LoadDevice(WireDevice(prover=prover, factory=reply, port=port)))
    return devices


def keep_on(devices: list[LoadDevice], times: int) -> None:
    """So many check-ins of each on its connection: all wait for their replies, whoever has one goes on."""
    for device in devices:
        device.send()
    for _ in range(times - 1):
        for device in devices:
            device.receive()
            device.send()
    for device in devices:
        device.receive()


def come_anew(devices: list[LoadDevice], times: int) -> None:
    """So many check-ins of each, every one on a connection of its own, all devices at the same time.

    Raises:
        SystemExit: one of them failed.
    """
    done: list[LoadDevice] = []

    def drive(device: LoadDevice) -> None:
        for _ in range(times):
            device.reconnect()
            device.send()
            device.receive()
        done.append(device)

    threads = [threading.Thread(target=drive, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(done) != len(devices):
        raise SystemExit(f"{len(devices) - len(done)} devices failed")


def main(file: Path, port: int, mode: str, total: int) -> None:
    devices = prepared(file, port)
    print("ready", flush=True)
    sys.stdin.readline()
    each = total // len(devices)
    {"kept": keep_on, "new": come_anew}[mode](devices, each)
    print(each * len(devices), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
