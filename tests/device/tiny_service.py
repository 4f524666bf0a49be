# SPDX-License-Identifier: Apache-2.0
"""A small service that speaks the device endpoint's protocol with the real wire and appraisal modules."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import ssl
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.certificates import private_pem
from tests.fixtures.images import manifest, package

from armillary import content
from armillary.attest import challenge
from armillary.attest.appraise import Appraisal, Enrolment, appraise
from armillary.attest.reference import ReferenceValue, ReferenceValues
from armillary.boot import profile, virtual_chain
from armillary.device.boot.provision import provision
from armillary.device.state.configuration import DeviceConfiguration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.os_disk import OsDisk
from armillary.errors import ArmillaryError, ChallengeError
from armillary.identity import issue
from armillary.identity.device_id import device_id_of_key
from armillary.wire.certificates import certificate
from armillary.wire.device import checkin
from armillary.wire.device.cellular_status import CellularStatus, encode_status_receipt, parse_status
from armillary.wire.device.challenge import Challenge, encode_challenge
from armillary.wire.device.checkin import CheckinReply, CheckinRequest, Offer, OfferedImage
from armillary.wire.device.crash_dump import encode_receipt
from armillary.wire.device.device_log import DeviceLog, encode_log_receipt, parse_log
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.problem import Problem, encode_problem
from armillary.wire.image import package as image_package
from armillary.wire.image.application import OsRange


class TinyService:
    """Manufactures devices, checks them in, serves images. Knobs make it misbehave.

    Attributes:
        offer: Given with every reply.
        images: Image id to package.
        deltas: What is given for the delta from one SHA-256 to another, both in hex; nothing else has a delta.
        checks: Every accepted check-in as (request, appraisal).
        lose_replies: So many next check-ins are accepted and their answer is never sent.
        refuse: (HTTP status, problem) for check-ins instead of an answer, or None.
        next_check_in_s: Given with every reply.
        security_version: Of the boot components it builds and knows to be good.
        good: OS versions whose components it knows to be good.
        speaks_status: False for a service of before protocol version 5.
        speaks_crashes: False for a service of before protocol version 6.
        speaks_consent: False for one of before version 7.
        speaks_log: False for one of before version 8.
        log_request: The request for the device's log that its replies name; ``logs_taken`` has the answers.
        cellular_statuses: What was said of the modem.
        dumps: What it lets crash dumps hold; ``dumps_taken`` has those that came.
    """

    def __init__(self) -> None:
        self.now = int(time.time())
        self.name = "tiny.test"
        self.challenge_key = os.urandom(32)
        self.root_key = ec.generate_private_key(ec.SECP384R1())
        self.silicon_key = ec.generate_private_key(ec.SECP384R1())
        self.catalog_key = ec.generate_private_key(ec.SECP256R1())
        self.os_key = ec.generate_private_key(ec.SECP256R1())
        self.image_key = ec.generate_private_key(ec.SECP256R1())
        life = {"not_before": self.now - 300, "not_after": self.now + 86400}
        self.life = life
        self.catalog_id = uuid.uuid4()
        self.root = certificate.build_root_authority(self.root_key, name="Tiny Root", serial=1, **life)
        self.silicon = certificate.build_silicon_authority(self.silicon_key, maker="Tiny", serial=2, **life)
        self.catalog = certificate.build_catalog_authority(
            self.root, self.root_key, self.catalog_key.public_key(), catalog_id=self.catalog_id, serial=3, **life
        )
        self.os_certificate = certificate.build_signing_certificate(
            self.root, self.root_key, self.os_key.public_key(), name="Tiny OS", serial=4, **life
        )
        self.image_certificate = certificate.build_signing_certificate(
            self.root, self.root_key, self.image_key.public_key(), name="Tiny images", serial=5, **life
        )
        self.template = certificate.DeviceCertificateTemplate(self.catalog, self.catalog_key)
        self.offer: Offer | None = None
        self.images: dict[str, bytes] = {}
        self.deltas: dict[tuple[str, str], bytes] = {}
        self.checks: list[tuple[CheckinRequest, Appraisal]] = []
        self.reports_seen: dict[int, ErrorReport] = {}
        self.duplicate_reports = 0
        self.lose_replies = 0
        self.refuse: tuple[int, Problem] | None = None
        self.next_check_in_s = 3600
        self.security_version = 1
        self.good = ["26.11"]
        self.speaks_status = self.speaks_crashes = self.speaks_consent = self.speaks_log = True
        self.dumps = checkin.NO_DUMPS
        self.dumps_taken: list[bytes] = []
        self.log_request: uuid.UUID | None = None
        self.logs_taken: list[DeviceLog] = []
        self.cellular_statuses: list[CellularStatus] = []
        self.refuse_log: tuple[int, Problem] | None = None
        self.refuse_dump: tuple[int, Problem] | None = None
        self.hub_host, self.hub_port = "hub.test", 8883
        self.connections = 0
        self.spent: set[bytes] = set()
        self.boot_counts: dict[str, int] = {}
        self.url = ""

    # factory

    def os_packages(self, chip: str, version: str = "26.11") -> Mapping[str, bytes]:
        return virtual_chain.build(
            profile.parse(content.chip_document(chip)),
            version,
            built=self.now,
            security_version=self.security_version,
            key=self.os_key,
            certificate=self.os_certificate,
        )

    def factory_of_flashed(self, csr: str, chip: str) -> dict[str, Any]:
        """Of each component what follows its payload."""
        reply = self.factory(csr, chip)
        for component in reply["boot_components"]:
            package = base64.b64decode(component["package"])
            component["payload_bytes"] = image_package.parse(package).payload_bytes
            component["package"] = base64.b64encode(package[component["payload_bytes"] :]).decode()
        return reply

    def factory(self, csr: str, chip: str) -> dict[str, Any]:
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        device_id = device_id_of_key(request.public_key())
        identity = certificate.build_identity_certificate(
            self.silicon, self.silicon_key, device_id=device_id, serial=secrets.randbits(100), **self.life
        )
        packages = self.os_packages(chip)
        return {
            "device_id": device_id,
            "identity_certificate": [pem(identity), pem(self.silicon)],
            "service_root": pem(self.root),
            "trusted_os_certificates": [pem(self.os_certificate)],
            "trusted_image_certificates": [pem(self.image_certificate)],
            "os_version": "26.11",
            "boot_components": [
                {"name": name, "package": base64.b64encode(data).decode()} for name, data in packages.items()
            ],
            "device_endpoint": self.url,
            "service_name": self.name,
        }

    def provision(self, folder: Path, *, sandbox: str = "process", disk: OsDisk | None = None) -> DeviceConfiguration:
        return provision(
            DeviceFolder(folder),
            chip="mt3620",
            root_of_trust="software",
            sandbox=sandbox,
            operator_api=self.url,
            factory=self.factory if disk is None else self.factory_of_flashed,
            disk=disk,
        )

    # images

    def application(
        self,
        script: bytes = b"#!/bin/sh\nexec sleep 600\n",
        *,
        component: int = 1,
        key: Any = None,
        needs_os: tuple[int, ...] = (),
        real_time: bool = False,
        **capabilities: Any,
    ) -> OfferedImage:
        """Pack, sign and publish an application; ``needs_os`` are the lowest and the highest ABI number."""
        image_id = uuid.uuid4()
        signer = (self.image_key, self.image_certificate)
        if key is not None:
            signer = (
                key,
                certificate.build_signing_certificate(
                    self.root, self.root_key, key.public_key(), name="Other", serial=9, **self.life
                ),
            )
        kind = {"ApplicationType": "RealTimeCapable"} if real_time else {}
        described = manifest(f"app{component}", uuid.UUID(int=component), Capabilities=capabilities, **kind)
        needed = OsRange(*needs_os) if needs_os else None
        data = package(described, script, signer=signer, image_id=image_id, built=self.now, os_range=needed)
        return self.publish(data, uuid.UUID(int=component), image_id, f"app{component}")

    def publish(self, data: bytes, component_id: uuid.UUID, image_id: uuid.UUID, name: str) -> OfferedImage:
        """Have a package that was signed by the image key; what offers it."""
        self.images[str(image_id)] = data
        return OfferedImage(
            component_id=component_id,
            image_id=image_id,
            image_type=10,
            name=name,
            size=len(data),
            sha256=hashlib.sha256(data).digest(),
        )

    def deploy(self, *images: OfferedImage) -> Offer:
        self.offer = Offer(offer_id=uuid.uuid4(), deployment_id=uuid.uuid4(), images=images)
        return self.offer

    def deploy_os(self, version: str, *images: OfferedImage, good: bool = True, abi: int = 0, **boot: bytes) -> Offer:
        """Publish an OS and offer it with applications; ``boot`` exchanges components (by name, ``_`` for ``-``)."""
        packages = {**self.os_packages("mt3620", version), **{n.replace("_", "-"): d for n, d in boot.items()}}
        if good and version not in self.good:
            self.good.append(version)
        components = []
        for name, data in packages.items():
            package = image_package.parse(data)
            self.images[str(package.image_id)] = data
            components.append(
                OfferedImage(
                    component_id=package.component_id,
                    image_id=package.image_id,
                    image_type=package.image_type,
                    name=name,
                    size=len(data),
                    sha256=hashlib.sha256(data).digest(),
                )
            )
        self.offer = replace(self.deploy(*images, *components), os_version=version, os_abi=abi)
        return self.offer

    def trust_store(self, payload: bytes, signer: Any, image_type: int = 19) -> OfferedImage:
        """Publish a trust store signed by a pair of key and certificate."""
        image_id, component_id = uuid.uuid4(), uuid.UUID(int=image_type)
        sections = image_package.standard_sections(
            image_type=image_type, component_id=component_id, image_id=image_id, name="trust", built=self.now
        )
        data = image_package.build(payload, sections=sections, key=signer[0], certificate=signer[1])
        self.images[str(image_id)] = data
        return OfferedImage(
            component_id=component_id,
            image_id=image_id,
            image_type=image_type,
            name="trust",
            size=len(data),
            sha256=hashlib.sha256(data).digest(),
        )

    # device endpoint

    async def start(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        server = certificate.build_server_certificate(
            self.root, self.root_key, key.public_key(), hosts=["localhost", "127.0.0.1"], serial=6, **self.life
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=pem(self.silicon))
        with tempfile.NamedTemporaryFile() as file:
            file.write(private_pem(key) + pem(server).encode())
            file.flush()
            context.load_cert_chain(file.name)
        application = web.Application(client_max_size=checkin.MAX_REQUEST_BYTES)
        application.add_routes(
            [
                web.get("/v1/challenge", self._challenge),
                web.post("/v1/check-in", self._check_in),
                web.get("/v1/images/{image_id}", self._image),
                web.get("/v1/delta/{source}/{target}", self._delta),
                web.post("/v1/crash-dump", self._crash_dump),
                web.post("/v1/device-log", self._device_log),
                web.post("/v1/cellular-status", self._cellular_status),
            ]
        )
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        self.url = f"https://127.0.0.1:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def _mint(self, peer_key: bytes) -> bytes:
        return challenge.mint(
            self.challenge_key, now=int(time.time()), random=os.urandom(16), peer_key=peer_key, lifetime_s=3600
        )

    async def _challenge(self, request: web.Request) -> web.Response:
        message = Challenge(self._mint(peer_of(request).spki), int(time.time()))
        return web.Response(body=encode_challenge(message), content_type="application/cbor")

    async def _check_in(self, http: web.Request) -> web.Response:
        peer = peer_of(http)
        body = await http.read()
        if self.refuse is not None:
            status, problem = self.refuse
            return web.Response(status=status, body=encode_problem(problem), content_type="application/cbor")
        request = checkin.parse_request(body)
        too_new = request.update_status is not None and not self.speaks_status
        version = request.protocol_version
        too_new |= version == checkin.CRASH_VERSION and not self.speaks_crashes
        too_new |= version == checkin.CONSENT_VERSION and not (self.speaks_crashes and self.speaks_consent)
        too_new |= version == checkin.LOG_VERSION and not (
            self.speaks_crashes and self.speaks_consent and self.speaks_log
        )
        if too_new:
            problem = Problem("wire.protocol-version", "expected protocol version 1 to 4", "Update the service.")
            return web.Response(status=400, body=encode_problem(problem), content_type="application/cbor")
        try:
            judged = self._appraise(request, peer.device_id, peer.spki)
            if judged.challenge_id.id in self.spent:
                raise ChallengeError("used before")
        except ArmillaryError as error:
            status = 401 if isinstance(error, ChallengeError) else 403
            problem = Problem(error.code, error.message, error.remedy)
            return web.Response(status=status, body=encode_problem(problem), content_type="application/cbor")
        self.spent.add(judged.challenge_id.id)
        self.boot_counts[peer.device_id] = judged.evidence.boot_count
        self.checks.append((request, judged))
        for report in request.error_reports:
            known = self.reports_seen.get(report.sequence)
            if known is not None:
                assert known == report, "a report that was sent again has changed"
                self.duplicate_reports += 1
            self.reports_seen[report.sequence] = report
        if self.lose_replies:
            self.lose_replies -= 1
            http.transport.abort()
            raise web.HTTPServiceUnavailable
        body = self._reply(judged, peer.device_id, peer.spki, version=checkin.reply_version(version))
        return web.Response(body=body, content_type="application/cbor")

    def _appraise(self, request: CheckinRequest, device_id: str, peer_key: bytes) -> Appraisal:
        chip = "mt3620"
        values = [
            ReferenceValue(
                component_id=package.component_id,
                image_type=package.image_type,
                digest=package.digest,
                security_version=package.security_version,
                chip=chip,
                os_version=version,
            )
            for version in self.good
            for package in map(image_package.parse, self.os_packages(chip, version).values())
        ]
        return appraise(
            request,
            enrolment=Enrolment(
                device_id=device_id,
                identity_key=bytes.fromhex(device_id),
                chip=chip,
                trust_tier="software",
            ),
            reference=ReferenceValues(values),
            peer_key=peer_key,
            challenge_key=self.challenge_key,
            now=int(time.time()),
            service_name=self.name,
        )

    def _reply(self, judged: Appraisal, device_id: str, peer_key: bytes, *, version: int) -> bytes:
        terms = issue.terms_for(judged.verdict, "software", now=int(time.time()))
        leaf = self.template.issue(
            spki=judged.evidence.certificate_key,
            device_id=device_id,
            purpose=terms.purpose,
            tier="software",
            serial=secrets.randbits(100),
            not_before=terms.not_before,
            not_after=terms.not_after,
        )
        return checkin.encode_reply(
            CheckinReply(
                verdict=judged.verdict,
                steps=judged.steps,
                certificate_chain=(leaf, self.catalog.public_bytes(serialization.Encoding.DER)),
                purpose=terms.purpose,
                catalog_id=self.catalog_id,
                offer=self.offer,
                next_check_in_s=self.next_check_in_s,
                challenge=self._mint(peer_key),
                server_time=int(time.time()),
                hub_host=self.hub_host,
                hub_port=self.hub_port,
                protocol_version=version,
                dumps=self.dumps,
                log_request=self.log_request,
            )
        )

    async def _crash_dump(self, http: web.Request) -> web.Response:
        body = await http.read()
        if self.refuse_dump is not None:
            status, problem = self.refuse_dump
            return web.Response(status=status, body=encode_problem(problem), content_type="application/cbor")
        self.dumps_taken.append(body)
        receipt = encode_receipt(uuid.UUID(int=len(self.dumps_taken)))
        return web.Response(body=receipt, content_type="application/cbor")

    async def _device_log(self, http: web.Request) -> web.Response:
        body = await http.read()
        if self.refuse_log is not None:
            status, problem = self.refuse_log
            return web.Response(status=status, body=encode_problem(problem), content_type="application/cbor")
        log = parse_log(body)
        self.logs_taken.append(log)
        return web.Response(body=encode_log_receipt(log.request_id), content_type="application/cbor")

    async def _cellular_status(self, http: web.Request) -> web.Response:
        self.cellular_statuses.append(parse_status(await http.read()))
        return web.Response(body=encode_status_receipt(), content_type="application/cbor")

    async def _image(self, request: web.Request) -> web.Response:
        data = self.images.get(request.match_info["image_id"])
        if data is None:
            raise web.HTTPNotFound
        return web.Response(body=data)

    async def _delta(self, request: web.Request) -> web.Response:
        return web.Response(body=self.deltas.get((request.match_info["source"], request.match_info["target"]), b""))


def pem(value: x509.Certificate) -> str:
    return value.public_bytes(serialization.Encoding.PEM).decode()


def peer_of(request: web.Request) -> certificate.UnverifiedDeviceCertificate:
    der = request.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return certificate.parse_identity_certificate(der)
