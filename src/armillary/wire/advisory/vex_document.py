# SPDX-License-Identifier: Apache-2.0
"""A VEX document in any of the formats that are read: which it is follows from its own words."""

from __future__ import annotations

from typing import Final

from armillary.errors import AdvisoryError
from armillary.wire.advisory import csaf_vex, cyclonedx_vex, openvex
from armillary.wire.advisory.fields import decode_json, shown
from armillary.wire.advisory.vex import UnverifiedStatement

WHAT: Final = "vex-document"
# A product line with thousands of releases, each with its statements.
MAX_BYTES: Final = 32 << 20


def read_vex(data: bytes) -> tuple[UnverifiedStatement, ...]:
    """The statements of a document in OpenVEX, CycloneDX or CSAF.

    Raises:
        AdvisoryError: it is none of them, or breaks its format or a limit; the message says where.
    """
    document = decode_json(data, what=WHAT, limit=MAX_BYTES)
    if document.get("bomFormat") == "CycloneDX":
        return cyclonedx_vex.statements_of(document)
    if isinstance(document.get("@context"), str):
        return openvex.statements_of(document)
    if isinstance(document.get("document"), dict):
        return csaf_vex.statements_of(document)
    keys = shown(", ".join(list(document)[:10]))
    raise AdvisoryError(WHAT, expected="OpenVEX (@context), CycloneDX (bomFormat) or CSAF (document)", got=keys)
