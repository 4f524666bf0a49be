# SPDX-License-Identifier: Apache-2.0
"""CISA's catalogue of known exploited vulnerabilities (KEV): which CVEs are exploited, since when that is known.

::

    catalogVersion, dateReleased, count, vulnerabilities[]:
      cveID, vendorProject, product, vulnerabilityName, dateAdded, dueDate, knownRansomwareCampaignUse

It speaks of vendors and products, not of packages: it is joined by CVE alone. A catalogue whose ``count`` is not the
number of its entries is cut off or tampered with, and refused.

Source: cisa.gov, known_exploited_vulnerabilities_schema.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from armillary.wire.advisory.fields import Fields, decode_json

WHAT: Final = "kev-catalogue"
# 1,400 entries have 1.3 MB.
MAX_BYTES: Final = 64 << 20
MAX_ENTRIES: Final = 100_000
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exploited:
    """One entry; ``added`` and ``due`` are days (``due`` None where there is none)."""

    cve: str
    added: date
    due: date | None
    ransomware: bool
    product: str
    name: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries by CVE; ``released`` in seconds since 1970."""

    version: str
    released: int
    entries: Mapping[str, Exploited]


def read_catalogue(data: bytes) -> Catalogue:
    """The catalogue of a JSON document; AdvisoryError says what of it is none."""
    fields = Fields(decode_json(data, what=WHAT, limit=MAX_BYTES), WHAT)
    entries: dict[str, Exploited] = {}
    number = 0
    for number, each in enumerate(fields.each("vulnerabilities", most=MAX_ENTRIES), start=1):  # noqa: B007 - how many
        found = _entry(each)
        if found.cve in entries:
            raise each.refused("cveID", "each once", found.cve)
        entries[found.cve] = found
    count = fields.take("count")
    if type(count) is not int or count != number:
        raise fields.refused("count", f"{number}, the number of vulnerabilities", count)
    return Catalogue(fields.text("catalogVersion"), fields.needed_time("dateReleased"), MappingProxyType(entries))


def _entry(fields: Fields) -> Exploited:
    added = _day(fields, "dateAdded")
    if added is None:
        raise fields.refused("dateAdded", "a day like 2026-01-31", None)
    return Exploited(
        cve=fields.text("cveID", pattern=CVE),
        added=added,
        due=_day(fields, "dueDate"),
        ransomware=fields.optional("knownRansomwareCampaignUse") == "Known",
        product=f"{fields.prose('vendorProject')} {fields.prose('product')}".strip(),
        name=fields.prose("vulnerabilityName"),
    )


def _day(fields: Fields, name: str) -> date | None:
    text = fields.optional(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text) if len(text) == len("2026-01-31") else _refuse(fields, name, text)
    except ValueError:
        return _refuse(fields, name, text)


def _refuse(fields: Fields, name: str, text: str) -> date:
    raise fields.refused(name, "a day like 2026-01-31", text)
