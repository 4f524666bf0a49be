# SPDX-License-Identifier: Apache-2.0
"""docs/reference/device-protocol.md says what the code does: its numbers and tables are compared with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from armillary.attest import challenge
from armillary.attest.steps import STEPS
from armillary.service.endpoint import uploads
from armillary.wire.attestation import event_log, evidence, firmware_log, tpm_attestation
from armillary.wire.certificates import certificate
from armillary.wire.device import cellular_status, checkin, crash_dump, crash_record, device_log, error_report
from armillary.wire.encoding import cbor, cose

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "device-protocol.md").read_text("utf-8")


def test_steps():
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \| (.+) \|$", TEXT, re.MULTILINE)
    documented = [(int(number), name, prevents) for number, name, prevents in rows]
    assert [row for row in documented if row[0] < 400] == list(STEPS)  # from 400 on: HTTP statuses


@pytest.mark.parametrize(
    "sentence",
    [
        f"Protocol versions **{checkin.PROTOCOL_VERSION}** to **{checkin.LOG_VERSION}**",
        f"tcg-log: bstr .size (0..{firmware_log.MAX_FIRMWARE_LOG_BYTES})",
        f"pcr-values: bstr .size {tpm_attestation.PCR_VALUE_BYTES * len(tpm_attestation.FIRMWARE_PCRS)}",
        f"lineage     : bstr .size (0..{checkin.MAX_LINEAGE_BYTES})",
        f"tpm-quote   : bstr .size (0..{tpm_attestation.MAX_ATTESTATION_BYTES})",
        f"over exactly PCR {tpm_attestation.BOOT_PCR} of the SHA-256 bank",
        f"version     = {checkin.PROTOCOL_VERSION}",
        f"Nesting is at most {cbor.MAX_DEPTH} deep",
        f"event-log  = [ 1*{event_log.MAX_EVENTS} boot-event ]             ; at most {event_log.MAX_LOG_BYTES // 1024} KiB",
        f"component        : tstr .size (1..{event_log.MAX_COMPONENT_BYTES})",
        f"at most {cose.MAX_SIGN1_BYTES // 1024} KiB",
        f"h'{cose.ES256_PROTECTED.hex()}'",
        f'"{evidence.EVIDENCE_PROFILE}"',
        f'"{evidence.ENDORSEMENT_PROFILE}"',
        f"h'{evidence.OEM_ID.hex()}'",
        f'"{evidence.OS_NAME}"',
        f"0..{evidence.MAX_BOOT_COUNT}",
        f"bstr .size ({evidence.MIN_CHALLENGE_BYTES}..{evidence.MAX_CHALLENGE_BYTES})",
        f"[ 0*{evidence.MAX_MECHANISMS} [ mechanism: tstr .size (0..{evidence.MAX_MECHANISM_BYTES})",
        "aud (RFC 8392)",
        f"`check-in-request`, at most {checkin.MAX_REQUEST_BYTES // 1024} KiB",
        f"[ 0*{checkin.MAX_INSTALLED} installed-image ]",
        f"[ 0*{checkin.MAX_OUTCOMES} update-outcome ]",
        f"[ 0*{checkin.MAX_ERROR_REPORTS} error-report ]",
        f"[ 0*{checkin.MAX_OFFERED} offered-image ]",
        f"[ 0*{checkin.MAX_STEPS} step ]",
        f"[ 0*{checkin.MAX_CERTIFICATES} bstr .size (0..{checkin.MAX_CERTIFICATE_BYTES}) ]",
        f"reason: tstr .size (0..{checkin.MAX_REASON_BYTES})",
        f"description: tstr .size (0..{error_report.MAX_DESCRIPTION_BYTES})",
        f"cause: tstr .size (0..{crash_record.MAX_CAUSE_BYTES}), build-id: bstr .size (0..{crash_record.MAX_BUILD_ID_BYTES})",
        f"frames: [ 0*{crash_record.MAX_FRAMES} frame ]",
        f"registers: [ 0*{crash_record.MAX_REGISTERS} [",
        f"next-check-in-s   : 0..{checkin.MAX_WAIT_S}",
        f"crash-dumps       : {checkin.NO_DUMPS}..{checkin.FULL_DUMPS},",
        f"`crash-dump`, at most {crash_dump.MAX_DUMP_BYTES // 1024} KiB",
        f"`device-log`, at most {device_log.MAX_LOG_BYTES // 1024} KiB",
        f"left-out: 0..{device_log.MAX_LEFT_OUT},",
        f"lines: [ 0*{device_log.MAX_LINES} tstr .size (0..{device_log.MAX_LINE_BYTES}) ],",
        f"`cellular-status`, at most {cellular_status.MAX_STATUS_BYTES} bytes",
        f"operator: tstr .size (0..{cellular_status.MAX_OPERATOR_BYTES}),",
        f"minus-dbm: 0..{cellular_status.MAX_MINUS_DBM} / null,",
        f"sessions: 0..{cellular_status.MAX_SESSIONS},",
        f"bytes-received: 0..{cellular_status.MAX_TRAFFIC_BYTES},",
        f"429 for one within {uploads.LEAST_STATUS_S} s of the one before",
        f"modules: [ 0*{crash_dump.MAX_MODULES} module ]",
        f"bstr .size (0..{crash_dump.MAX_STACK_BYTES})",
        f"{challenge.CHALLENGE_BYTES} bytes without meaning",
        certificate.PURPOSE_OID.dotted_string,
        certificate.TRUST_TIER_OID.dotted_string,
        certificate.DEVICE_URN,
    ],
)
def test_numbers_and_names(sentence: str):
    assert sentence in TEXT


@pytest.mark.parametrize("key", evidence._EVIDENCE_KEYS)
def test_evidence_claims_are_documented(key: int):
    assert re.search(rf"^  {key}\s+: ", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        checkin.IMAGE_STATES,
        checkin.OUTCOMES,
        checkin.VERDICTS,
        checkin.PURPOSES,
        crash_dump.FAULTS,
        evidence.ROOTS_OF_TRUST,
    ],
)
def test_words_are_documented(words: frozenset[str]):
    for word in words:
        assert f'"{word}"' in TEXT
