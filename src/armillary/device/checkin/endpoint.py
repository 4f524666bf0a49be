# SPDX-License-Identifier: Apache-2.0
"""Client of the service's device endpoint: challenge, check-in, downloads of images and deltas.

TLS 1.3 only, mutual; the service's certificate must be signed by a root the device pins itself (that of its manufacture
or a successor, ``renewal.py``), name the host it was told, and be in its days by the device's own clock
(``device/state/clock.py``), never by the host's. One kept-alive connection; redirects are refused; everything read has
a limit. The same holds through the device's proxy (``device/network``).
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from hashlib import sha256
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import aiohttp
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates
from yarl import URL

from armillary.device.network.proxy import FindProxy, no_proxy, proxy_fault, request_fault, request_options, through
from armillary.device.state.clock import DeviceClock
from armillary.errors import (
    ArmillaryError,
    DeltaError,
    DeviceFault,
    InstallError,
    RateLimitedError,
    ServiceUnreachableError,
    WireError,
)
from armillary.wire.certificates import trust_anchor
from armillary.wire.device import cellular_status, checkin, crash_dump, device_log, hint
from armillary.wire.device.challenge import MAX_CHALLENGE_MESSAGE_BYTES, Challenge, parse_challenge
from armillary.wire.device.checkin import CheckinReply, CheckinRequest, OfferedImage
from armillary.wire.device.problem import MAX_PROBLEM_BYTES, Problem, parse_problem

CBOR = "application/cbor"
CONNECT_TIMEOUT_S = 10.0
CONNECTIONS = 3  # one for a hint that is waited for, one for a check-in, one for a download
HINT_TIMEOUT_S = 300.0  # the service answers after 200 s at the latest
REQUEST_TIMEOUT_S = 30.0  # a check-in is answered in milliseconds; a busy service says 429 or 503
IDLE_TIMEOUT_S = 15.0  # no byte for this long ends a download (slow retrieval attack)
DOWNLOAD_TIMEOUT_S = 300.0  # 1 MiB at 3.5 kB/s
DOWNLOAD_ATTEMPTS = 4  # each goes on where the last one stopped
KEEP_ALIVE_S = 60.0
DEFAULT_RETRY_AFTER_S = 30
MAX_RETRY_AFTER_S = 24 * 3600  # a wrong header must not silence a device for good

PROXY_REMEDY: Final = "Look at the device's proxy: armillary device network proxy show."

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python's ssl has no name for.
_NO_CHECK_TIME = 0x200000


class ServiceCertificateError(ssl.SSLCertVerificationError):
    """The service's certificate leads to the root and is refused all the same; ends the handshake."""

    def __init__(self, reason: str) -> None:
        super().__init__(1, reason)
        self.verify_message = reason


class DeviceEndpoint:
    """One device's connection to the service at ``https://host:port``. Use as an async context manager.

    The TLS ``context`` pins the service's root and presents the device identity certificate; ``proxy`` is asked before
    each request.

    Raises:
        ServiceUnreachableError: nothing answers, TLS fails, or the answer is not of the protocol.
        RateLimitedError: the service asks to come back later.
        DeviceFault: the service refuses; ``code`` says why.
    """

    def __init__(self, url: str, context: ssl.SSLContext, proxy: FindProxy = no_proxy) -> None:
        self._url = url.rstrip("/")
        self._context = context
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        # trust_env off: a proxy variable must not redirect a device. Nothing is unpacked: it could
        # come to any size.
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=False, auto_decompress=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def url(self) -> str:
        """``https://host:port``."""
        return self._url

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session of all requests; ServiceUnreachableError once it was closed."""
        return self._open()

    async def challenge(self) -> Challenge:
        """A fresh challenge."""
        body = await self._exchange("GET", "/v1/challenge", None, MAX_CHALLENGE_MESSAGE_BYTES)
        return parse_challenge(body)

    async def trust_anchors(self) -> tuple[trust_anchor.Anchor, ...]:
        """The service's living roots and what vouches for each; nothing of it is verified."""
        body = await self._exchange("GET", "/v1/trust-anchors", None, trust_anchor.MAX_MESSAGE_BYTES)
        return trust_anchor.parse_anchors(body)

    async def identity_certificate(self) -> trust_anchor.UnverifiedIdentity:
        """A new identity certificate, where the present one ends soon; nothing of it is verified."""
        body = await self._exchange("GET", "/v1/identity-certificate", None, trust_anchor.MAX_MESSAGE_BYTES)
        return trust_anchor.parse_identity(body)

    async def hint(self) -> bool:
        """Wait until the service wants this device to check in (True), or has nothing to say for a while."""
        within = aiohttp.ClientTimeout(total=HINT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        return hint.parse_hint(await self._exchange("GET", "/v1/hint", None, hint.MAX_HINT_BYTES, within))

    async def check_in(self, request: CheckinRequest) -> CheckinReply:
        """Send a check-in and return the reply."""
        body = await self._exchange("POST", "/v1/check-in", checkin.encode_request(request), checkin.MAX_REPLY_BYTES)
        return checkin.parse_reply(body)

    async def send_crash_dump(self, data: bytes) -> UUID:
        """Send a crash dump and return the id under which it is kept."""
        body = await self._exchange("POST", "/v1/crash-dump", data, crash_dump.MAX_RECEIPT_BYTES)
        return crash_dump.parse_receipt(body)

    async def send_log(self, data: bytes) -> UUID:
        """Send the newest lines of the device's log and return the id of the request that they answer."""
        body = await self._exchange("POST", "/v1/device-log", data, device_log.MAX_LOG_RECEIPT_BYTES)
        return device_log.parse_log_receipt(body)

    async def send_cellular_status(self, data: bytes) -> None:
        """Send what the modem is like."""
        most = cellular_status.MAX_STATUS_RECEIPT_BYTES
        cellular_status.check_status_receipt(await self._exchange("POST", "/v1/cellular-status", data, most))

    async def download(self, image: OfferedImage) -> bytes:
        """The package of an offered image: its size is the limit, its digest is checked.

        Raises:
            InstallError: the service gave other bytes than it offered.
            ServiceUnreachableError: the download did not finish; what was fetched is thrown away.
        """
        data = bytearray()
        failure = ""
        for _ in range(DOWNLOAD_ATTEMPTS):
            try:
                await self._append(f"/v1/images/{image.image_id}", data, image.size)
            except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
                failure = request_fault(error)
                continue
            if len(data) == image.size:
                break
            failure = f"{len(data)} of {image.size} bytes"
        if len(data) != image.size:
            raise ServiceUnreachableError(f"download of {image.name} ({image.image_id}) did not finish: {failure}")
        if sha256(data).digest() != image.sha256:
            raise InstallError(
                f"{image.name} ({image.image_id}): the service gave other bytes than it offered",
                remedy="Upload the image again; the device fetches it at the next check-in.",
            )
        return bytes(data)

    async def delta(self, source: bytes, target: OfferedImage) -> AsyncGenerator[bytes, None]:
        """The delta from an artifact (its SHA-256) to an offered one, as it arrives; nothing where there is none.

        It is what the service says and nobody signed it. It is never longer than the target.

        Raises:
            DeltaError: it is longer than its target, or changed while it was fetched.
            RateLimitedError: it is being made.
            ServiceUnreachableError: the download did not finish.
        """
        path = f"/v1/delta/{source.hex()}/{target.sha256.hex()}"
        size: int | None = None
        fetched, failure = 0, ""
        for _ in range(DOWNLOAD_ATTEMPTS):
            try:
                async with self._get(path, fetched) as response:
                    length = _length(response)
                    if length > target.size or (fetched and (length, response.status) != (size, 206)):
                        raise DeltaError(
                            "delta", expected=f"{size or f'at most {target.size}'} bytes", got=f"{length} bytes"
                        )
                    size = length
                    async for block in response.content.iter_chunked(64 * 1024):
                        fetched += len(block)
                        if fetched > size:
                            raise DeltaError("delta", expected=f"{size} bytes", got="more")
                        yield block
            except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
                failure = request_fault(error)
                continue
            if fetched == size:
                return
            failure = f"{fetched} of {size} bytes"
        raise ServiceUnreachableError(f"download of a delta for {target.name} did not finish: {failure}")

    async def _append(self, path: str, data: bytearray, size: int) -> None:
        async with self._get(path, len(data)) as response:
            if response.status == 200:
                data.clear()  # the service does not do ranges: from the start
            async for block in response.content.iter_chunked(64 * 1024):
                if len(data) + len(block) > size:
                    raise InstallError(
                        f"{path}: more than the {size} bytes that were offered",
                        remedy="Upload the image again.",
                    )
                data += block

    @contextlib.asynccontextmanager
    async def _get(self, path: str, offset: int) -> AsyncIterator[aiohttp.ClientResponse]:
        """A download from ``offset`` on; the error in the answer where it is refused."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        timeout = aiohttp.ClientTimeout(
            total=DOWNLOAD_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=IDLE_TIMEOUT_S
        )
        async with self._open().get(
            self._url + path, headers=headers, timeout=timeout, allow_redirects=False, **await self._way()
        ) as response:
            if response.status not in (200, 206):
                raise await _refusal(response)
            yield response

    async def _exchange(
        self, method: str, path: str, body: bytes | None, limit: int, within: aiohttp.ClientTimeout | None = None
    ) -> bytes:
        headers = {"Accept": CBOR} if body is None else {"Accept": CBOR, "Content-Type": CBOR}
        try:
            async with self._open().request(
                method,
                self._url + path,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=within or self._open().timeout,
                **await self._way(),
            ) as response:
                if response.status != 200:
                    raise await _refusal(response)
                return await _read(response, limit)
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError) as error:
            remedy = PROXY_REMEDY if proxy_fault(error) else None
            way = through(self._proxy, URL(self._url))
            raise ServiceUnreachableError(f"{self._url}{way}: {_cause(error)}", remedy=remedy) from error

    async def _way(self) -> dict[str, Any]:
        """What a request is told of the proxy."""
        return await request_options(self._proxy, URL(self._url))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise ServiceUnreachableError("the connection was closed", remedy="Start the device again.")
        return self._session


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    data = bytearray()
    async for block in response.content.iter_chunked(16 * 1024):
        data += block
        if len(data) > limit:
            raise WireError("answer", expected=f"at most {limit} bytes", got="more")
    return bytes(data)


def _length(response: aiohttp.ClientResponse) -> int:
    """Bytes of the whole content that an answer is, or is a part of; DeltaError if it does not say."""
    part = re.fullmatch(r"bytes \d{1,15}-\d{1,15}/(\d{1,15})", response.headers.get("Content-Range", ""))
    length = int(part[1]) if part and response.status == 206 else response.content_length
    if length is None or (response.status == 206 and part is None):
        raise DeltaError("delta", expected="an answer that says how long it is", got="none")
    return length


async def _refusal(response: aiohttp.ClientResponse) -> ArmillaryError:
    """The error in a refusal: the service's own, or one made from the HTTP status."""
    retry_after = _retry_after(response)
    try:
        problem = parse_problem(await _read(response, MAX_PROBLEM_BYTES))
    except (TimeoutError, WireError, aiohttp.ClientError):
        problem = Problem("device", f"HTTP {response.status}", "Look at the service's log.", None)
    if response.status in (429, 503):
        return RateLimitedError(problem.message, retry_after_s=problem.retry_after_s or retry_after)
    if response.status >= 500:
        return ServiceUnreachableError(f"the service failed: HTTP {response.status}, {problem.message}")
    return DeviceFault(problem.message, remedy=problem.remedy, code=problem.code)


def _retry_after(response: aiohttp.ClientResponse) -> int:
    text = response.headers.get("Retry-After", "")
    if not text.isdigit() or len(text) > 9:
        return DEFAULT_RETRY_AFTER_S
    return min(int(text), MAX_RETRY_AFTER_S)


def _cause(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        if isinstance(error.certificate_error, ServiceCertificateError):
            return str(error.certificate_error.verify_message)
        return f"its certificate does not lead to this device's service root ({error.certificate_error})"
    return request_fault(error)


class ServiceContext(ssl.SSLContext):
    """A TLS client context with the ``roots`` that may have signed the service's certificate.

    :meth:`trust` replaces them.
    """

    roots: tuple[Certificate, ...] = ()

    def trust(self, pem: str) -> None:
        """Trust exactly these roots from the next handshake on."""
        self.roots = tuple(load_pem_x509_certificates(pem.encode()))
        self.load_verify_locations(cadata=pem)


def tls_context(service_root: str, clock: DeviceClock) -> ServiceContext:
    """A TLS 1.3 client context that trusts the pinned roots alone, PEM; the caller adds the device's identity.

    OpenSSL would ask the host's clock whether the service's certificate is in its days; ``clock`` is asked instead,
    within the handshake: nothing is sent to a service that fails. A root itself has no days (it is trusted as such,
    RFC 5280 §6.1.1), but what it signed must have ended when it ends: the key of one that ended makes no certificate
    that is good later. Between a root and the service's certificate there is nobody: the authorities that issue to
    devices lead to the same root, and whoever has the key of one that ended would be the service for ever.
    """
    context = ServiceContext(ssl.PROTOCOL_TLS_CLIENT)

    class TimedHandshake(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            der = self.getpeercert(binary_form=True)
            if der is None:
                raise ServiceCertificateError("the service showed no certificate")
            if not any(is_directly_under(der, root) for root in context.roots):
                raise ServiceCertificateError("its certificate is not signed by this device's service root itself")
            not_before, not_after = validity_of(der)
            if fault := clock.met_service(not_before, not_after):
                raise ServiceCertificateError(fault)

    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.trust(service_root)
    context.verify_flags |= _NO_CHECK_TIME
    context.sslobject_class = TimedHandshake
    return context


def is_directly_under(der: bytes, root: Certificate) -> bool:
    """Whether the root itself signed a certificate, DER, and for no longer than its own days."""
    try:
        certificate = load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return certificate.not_valid_after_utc <= root.not_valid_after_utc


def validity_of(der: bytes) -> tuple[int, int]:
    """First and last second of a certificate, Unix seconds UTC; ServiceCertificateError if it cannot be read."""
    try:
        certificate = load_der_x509_certificate(der)
        return int(certificate.not_valid_before_utc.timestamp()), int(certificate.not_valid_after_utc.timestamp())
    except ValueError as error:
        raise ServiceCertificateError(f"the service's certificate cannot be read: {error}") from error
