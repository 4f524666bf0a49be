# SPDX-License-Identifier: Apache-2.0
"""A device at a real service whose record says that it has a TPM; the TPM is a key of the test's own."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy import select, update
from tests.wire.tpm_samples import new_key, quote

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema import schema
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tpm_attestation import BOOT_PCR, FIRMWARE_PCRS, pcr_digest, quote_nonce
from armillary.wire.device.checkin import CheckinReply, encode_request, parse_reply
from armillary.wire.encoding import cose


class TpmWireDevice:
    """Checks in with a quote, and with the log of what its machine measured if it has one."""

    def __init__(self, host: ServiceHost, device: WireDevice, firmware: FirmwareLog | None) -> None:
        self.device = device
        self.firmware = firmware
        self._tpm = new_key()

        def enrol(connection: Any) -> None:
            mine = schema.device.c.device_id == device.device_id
            number = connection.execute(select(schema.device.c.number).where(mine)).scalar_one()
            connection.execute(update(schema.device).where(mine).values(trust_tier="tpm"))
            device_rows.keep_tpm_key(
                connection,
                number,
                attestation_key=cose.point_of(self._tpm.public_key()),
                endorsement_certificate=b"",
                manufacturer="test",
                model="test",
            )

        host.service.context.records.write(enrol)
        device.prover = dataclasses.replace(device.prover, root_of_trust="tpm2")

    def check_in(self) -> CheckinReply:
        """One check-in on the open connection."""
        device, firmware = self.device, self.firmware
        challenge = device.challenge or device.fetch_challenge()
        key = cose.spki_from_point(cose.point_of(device.client_key.public_key()))
        made = device.prover.request(challenge, key)
        values = [device.prover.log_head] if firmware is None else [firmware.pcr_values, device.prover.log_head]
        pcrs = (BOOT_PCR,) if firmware is None else (*FIRMWARE_PCRS, BOOT_PCR)
        quoted = quote(self._tpm, quote_nonce(made.evidence), pcr_digest(values), *pcrs)
        body = encode_request(dataclasses.replace(made, tpm_quote=quoted, firmware=firmware))
        answer = device.exchange("POST", "/v1/check-in", body)
        assert answer.status == 200, answer.body
        reply = parse_reply(answer.body)
        device.challenge = reply.challenge
        return reply
