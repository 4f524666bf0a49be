# SPDX-License-Identifier: Apache-2.0
"""Devices that check in as fast as the service lets them, in a process of their own.

``python -m bench.checkin_load DEVICES.BIN PORT``: prepares its devices once, then takes commands ``MODE TOTAL PORT``,
a line each, from its standard input. MODE ``kept`` uses one connection per device for all its check-ins, ``new`` opens
one for each, and every reply must say "attested"; ``handshake`` opens connections to PORT (``bench/bare_handshake.py``)
and waits for their end. It prints ``ready``, waits for a line ``go``, and prints how many were made:
:class:`RunningLoad` is the other side.

A device here does what it must (answer the challenge of the last reply, sign with its alias key) and nothing else: its
first request is built by the product's own code, and later ones are that request with another challenge and signature.
Otherwise the load costs more than the service, which then waits half of its time and is woken for each request alone:
that measures the waking. A kept check-in takes 90 us here, a quarter of the service's time.
"""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from armillary.attest.challenge import CHALLENGE_BYTES
from armillary.sim.device.prover import Prover
from armillary.sim.device.wire_device import TIMEOUT_S, WireDevice, components_of
from armillary.wire.encoding.cose import SIGNATURE_BYTES

_ECDSA = ec.ECDSA(hashes.SHA256())
_PLACE = b"\xa5" * CHALLENGE_BYTES  # stands where the challenge goes
_VERDICT, _CHALLENGE = 1, 8  # items of a reply


class LoadDevice:
    """A device, not connected, with one prepared request."""

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

    def shake_hands(self, port: int) -> None:
        """A connection that the server closes after the handshake."""
        with (
            socket.create_connection((self.device.host, port), timeout=TIMEOUT_S) as plain,
            self.context.wrap_socket(plain, server_hostname=self.device.host) as secured,
        ):
            if secured.recv(1):
                raise SystemExit("the bare server said something")

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


def come_anew(device: LoadDevice) -> None:
    """A check-in on a connection of its own."""
    device.reconnect()
    device.send()
    device.receive()


def all_at_once(devices: list[LoadDevice], times: int, act: Callable[[LoadDevice], None]) -> None:
    """So many acts of each device, all devices at the same time.

    Raises:
        SystemExit: one of them failed.
    """
    done: list[LoadDevice] = []

    def drive(device: LoadDevice) -> None:
        for _ in range(times):
            act(device)
        done.append(device)

    threads = [threading.Thread(target=drive, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(done) != len(devices):
        raise SystemExit(f"{len(devices) - len(done)} devices failed")


class RunningLoad:
    """A load in a process of its own, over the file that ``bench/checkin_service.py`` wrote; ends with the block."""

    def __init__(self, devices: Path, port: int) -> None:
        command = [sys.executable, "-m", "bench.checkin_load", str(devices), str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def prepare(self, mode: str, total: int, port: int = 0) -> None:
        """Have it ready to do so many; ``port`` of the bare server for ``handshake``."""
        self._say(f"{mode} {total} {port}")
        if self._answer() != "ready":
            raise RuntimeError("the load generator did not start")

    def begin(self) -> None:
        """Let it do what it is ready for."""
        self._say("go")

    def done(self) -> int:
        """Wait for the end; how many were made."""
        return int(self._answer())

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main(file: Path, port: int) -> None:
    """Obey the commands that come until there are no more."""
    devices = prepared(file, port)
    for line in sys.stdin:
        mode, total, bare_port = line.split()
        each = int(total) // len(devices)
        if mode == "kept":
            for device in devices:  # connections idled out on a slow host
                come_anew(device)
        print("ready", flush=True)
        sys.stdin.readline()
        if mode == "kept":
            keep_on(devices, each)
        elif mode == "new":
            all_at_once(devices, each, come_anew)
        else:
            all_at_once(devices, each, partial(LoadDevice.shake_hands, port=int(bare_port)))
        print(each * len(devices), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
