# SPDX-License-Identifier: Apache-2.0
"""The form of a catalog's attestation policy, and what was sent in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from armillary.attest.policy import MAX_AGE_DAYS, MAX_SECURITY_VERSIONS
from armillary.console.frame.form import Field, filled, limits
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError
from armillary.identity.issue import TRUST_TIERS
from armillary.wire.attestation.mechanisms import MECHANISMS

TIER_WORDS: Final[Mapping[str, str]] = {
    "simulated": say("any, simulated ones too"),
    "software": say("software or better"),
    "tpm": say("TPM or better"),
    "silicon": say("silicon"),
}
# Form field of a chip: whether its devices are accepted.
CHIP: Final = "chip."
# Form field of a mechanism: whether it is demanded.
MECHANISM: Final = "mechanism."
_TIME: Final = "%Y-%m-%d %H:%M"
_LINE: Final = re.compile(r"(\d{1,5})\s*[=:]\s*(\d{1,10})")


def fields_of(policy: Mapping[str, Any], chips: Sequence[str], sent: Mapping[str, str]) -> tuple[Field, ...]:
    """The fields with what holds now, or with what was ``sent``; ``chips`` are the profiles that the service knows."""
    until = policy["older_releases_until"]
    versions = "\n".join(f"{kind}={version}" for kind, version in policy["minimum_security_versions"].items())
    fields = (
        Field(
            name="minimum_tier",
            label=say("Trust tier"),
            kind="select",
            value=policy["minimum_tier"],
            choices=tuple((tier, TIER_WORDS[tier]) for tier in TRUST_TIERS),
        ),
        Field(
            name="maximum_release_age_days",
            label=say("Oldest release"),
            unit=say("days"),
            kind="number",
            value="" if policy["maximum_release_age_days"] is None else str(policy["maximum_release_age_days"]),
            limits=limits(min=1, max=MAX_AGE_DAYS),
            hint=say("since it was published; empty: without end"),
        ),
        Field(
            name="older_releases_until",
            label=say("Releases with a successor are good until"),
            unit=say("UTC"),
            value="" if until is None else f"{datetime.fromtimestamp(until, UTC):{_TIME}}",
            limits=limits(maxlength=16, placeholder="2027-01-31 12:00"),
            hint=say("empty: without end"),
        ),
        Field(
            name="firmware_log",
            label=say("The log of the machine's firmware is required"),
            kind="check",
            value="on" if policy["firmware_log"] else "",
        ),
        *(
            Field(
                name=f"{CHIP}{chip}",
                label=say("Chip {chip}", chip=chip),
                kind="check",
                value="on" if chip in policy["chips"] else "",
                hint=say("no chip ticked: all are accepted") if number == 0 else "",
            )
            for number, chip in enumerate(chips)
        ),
        *(
            Field(
                name=f"{MECHANISM}{name}",
                label=say("Mechanism {name}", name=name),
                kind="check",
                value="on" if name in policy["mechanisms"] else "",
                hint=say("what is ticked has to contain applications, by the device's own self-test")
                if number == 0
                else "",
            )
            for number, name in enumerate(MECHANISMS)
        ),
        Field(
            name="minimum_security_versions",
            label=say("Lowest security versions"),
            kind="area",
            value=versions,
            limits=limits(placeholder="33=4"),
            hint=say("image type = version, one a line; none falls, and a line that is left out stays in force"),
        ),
    )
    return filled(fields, sent) if sent else fields


def change_of(form: Mapping[str, str]) -> dict[str, Any]:
    """A filled-in form as the API takes a change. Raises InvalidArgumentError, which names the field."""
    days, until = form.get("maximum_release_age_days", "").strip(), form.get("older_releases_until", "").strip()
    if days and not (days.isascii() and days.isdigit() and len(days) <= len(str(MAX_AGE_DAYS))):
        raise InvalidArgumentError(
            f"Oldest release: expected a number of days, got {days[:20]!r}", remedy="Write 90, or leave it empty."
        )
    try:
        moment = int(datetime.strptime(until, _TIME).replace(tzinfo=UTC).timestamp()) if until else None
    except ValueError as error:
        raise InvalidArgumentError(
            f"Releases with a successor are good until: expected a time, got {until[:20]!r}",
            remedy="Write it as 2027-01-31 12:00, in UTC.",
        ) from error
    return {
        "minimum_tier": form.get("minimum_tier", ""),
        "chips": sorted(name.removeprefix(CHIP) for name in form if name.startswith(CHIP)),
        "minimum_security_versions": _versions(form.get("minimum_security_versions", "")),
        "older_releases_until": moment,
        "maximum_release_age_days": int(days) if days else None,
        "firmware_log": bool(form.get("firmware_log")),
        "mechanisms": sorted(name.removeprefix(MECHANISM) for name in form if name.startswith(MECHANISM)),
    }


def _versions(text: str) -> dict[str, int]:
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    if len(lines) > MAX_SECURITY_VERSIONS:
        raise InvalidArgumentError(
            f"Lowest security versions: expected at most {MAX_SECURITY_VERSIONS} lines, got {len(lines)}",
            remedy="Leave lines out.",
        )
    found: dict[str, int] = {}
    for line in lines:
        parts = _LINE.fullmatch(line)
        if parts is None or parts[1] in found:
            wrong = "each image type once" if parts else "image type = version"
            raise InvalidArgumentError(
                f"Lowest security versions: expected {wrong}, got {line[:40]!r}", remedy="Write 33=4, one a line."
            )
        found[parts[1]] = int(parts[2])
    return found
