# SPDX-License-Identifier: Apache-2.0
"""A VEX statement that an operator of this service makes, as it is signed and kept.

::

    statement = COSE_Sign1 (RFC 9052 §4.2, ES256) over the deterministic CBOR map
        1: format, 1                          7: part that is meant, a package URL; "" for all of it
        2: id of the statement (16 bytes)     8: status, a word of OpenVEX
        3: vulnerability, its id or an alias  9: justification, a word of OpenVEX; "" unless not affected
        4: what it is about, a word           10: in words: impact, or what to do
        5: id of that (16 bytes)              11: author
        6: id of the catalog (16 bytes);      12: when it was said, Unix seconds UTC
           empty for the whole service

External data "armillary vex statement" keeps a signature of anything else from being one of a statement. What it is
about is named by the service's own id, so that nobody's image of another catalog is meant: :func:`subject_name`.

Source of the words: OpenVEX 0.2.0, "Status Labels" and "Status Justifications".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire.advisory.vex import Product, Status, UnverifiedStatement
from armillary.wire.encoding import cbor, cose

WHAT: Final = "vex-statement"
FORMAT: Final = 1
PURPOSE: Final = b"armillary vex statement"
SUBJECTS: Final = ("image", "release", "product")
# Why something is not affected, in the words that CISA and OpenVEX agreed on.
JUSTIFICATIONS: Final = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
MAX_VULNERABILITY: Final = 128
MAX_COMPONENT: Final = 1024
MAX_REASON: Final = 2000
MAX_AUTHOR: Final = 200
_KINDS: Final = (int, bytes, str, str, bytes, bytes, str, str, str, str, str, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStatement:
    """What somebody says of a vulnerability in something of this service; ``stated_at`` in Unix seconds UTC."""

    statement_id: UUID
    vulnerability: str
    subject: str  # One of :data:`SUBJECTS`
    subject_id: UUID
    catalog_id: UUID | None  # None: of the whole service
    component: str
    status: Status
    justification: str
    reason: str
    author: str
    stated_at: int

    def as_statement(self) -> UnverifiedStatement:
        """The same as what VEX documents say, so that one rule holds for both."""
        product = Product(
            (subject_name(self.subject, self.subject_id, self.catalog_id),), (self.component,) if self.component else ()
        )
        return UnverifiedStatement(
            names=(self.vulnerability,),
            products=(product,),
            status=self.status,
            said=self.stated_at,
            author=self.author,
            document="",
            justification=self.justification,
            reason=self.reason,
        )


def subject_name(subject: str, subject_id: UUID, catalog_id: UUID | None) -> str:
    """The name of an image of one catalog, a release or a product, which no other document can mean by mistake."""
    return f"armillary:{subject}:{'' if catalog_id is None else catalog_id}/{subject_id}"


def seal(statement: OwnStatement, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signed statement."""
    _check(statement)
    payload = cbor.encode(
        {
            1: FORMAT, 2: statement.statement_id.bytes, 3: statement.vulnerability, 4: statement.subject,
            5: statement.subject_id.bytes, 6: b"" if statement.catalog_id is None else statement.catalog_id.bytes,
            7: statement.component, 8: statement.status.value, 9: statement.justification, 10: statement.reason,
            11: statement.author, 12: statement.stated_at,
        }
    )  # fmt: skip
    return cose.encode_sign1(payload, key, external_aad=PURPOSE)


def verify(signed: bytes, key: ec.EllipticCurvePublicKey) -> OwnStatement:
    """What a signed statement says.

    Raises:
        WireError: it is none.
        SignatureError: ``key`` did not sign it.
    """
    payload = cose.verify_sign1(cose.parse_sign1(signed, what=WHAT), key, external_aad=PURPOSE, what=WHAT)
    found = cbor.decode(payload, what=WHAT, limit=cose.MAX_SIGN1_BYTES)
    if (
        type(found) is not dict
        or set(found) != set(range(1, 13))
        or any(type(found[place]) is not kind for place, kind in enumerate(_KINDS, 1))
    ):
        raise _fault("a map of 1 to 12", "another one")
    if found[1] != FORMAT:
        raise _fault(f"format {FORMAT}", f"format {found[1]}")
    if any(len(found[place]) != 16 for place in (2, 5)) or len(found[6]) not in (0, 16):
        raise _fault("ids of 16 bytes", "others")
    if found[8] not in set(Status):
        raise _fault(f"one of {', '.join(Status)}", f"{found[8]!a:.40}")
    made = OwnStatement(
        statement_id=UUID(bytes=found[2]),
        vulnerability=found[3],
        subject=found[4],
        subject_id=UUID(bytes=found[5]),
        catalog_id=UUID(bytes=found[6]) if found[6] else None,
        component=found[7],
        status=Status(found[8]),
        justification=found[9],
        reason=found[10],
        author=found[11],
        stated_at=found[12],
    )
    _check(made)
    return made


def _check(made: OwnStatement) -> None:
    if not 0 < len(made.vulnerability) <= MAX_VULNERABILITY:
        raise _fault(f"a vulnerability of 1 to {MAX_VULNERABILITY} characters", f"{len(made.vulnerability)}")
    if made.subject not in SUBJECTS:
        raise _fault(f"one of {', '.join(SUBJECTS)}", f"{made.subject!a:.40}")
    if (made.subject == "release") != (made.catalog_id is None):
        raise _fault("a catalog for images and products, and none for releases", f"{made.subject}")
    if made.justification not in ("", *JUSTIFICATIONS):
        raise _fault(f"one of {', '.join(JUSTIFICATIONS)}", f"{made.justification!a:.60}")
    if (made.status is Status.NOT_AFFECTED) != bool(made.justification):
        raise _fault("a justification where something is not affected, and there only", f"status {made.status}")
    if len(made.component) > MAX_COMPONENT or len(made.reason) > MAX_REASON:
        raise _fault(f"a component up to {MAX_COMPONENT} and a reason up to {MAX_REASON} characters", "longer ones")
    if not 0 < len(made.author) <= MAX_AUTHOR or not made.author.isprintable():
        raise _fault(f"an author of 1 to {MAX_AUTHOR} characters on one line", f"{made.author!a:.60}")
    if not 0 < made.stated_at < 1 << 40:
        raise _fault("a time", f"{made.stated_at}")


def _fault(expected: str, got: str) -> WireError:
    return WireError(WHAT, expected=expected, got=got, remedy="Make the statement again: armillary advisory state set.")
