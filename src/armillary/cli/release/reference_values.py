# SPDX-License-Identifier: Apache-2.0
"""Reference values in a file, and what it takes to state them in a catalog."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from armillary.attest import firmware_reference as rules
from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, counted, note, record
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService
from armillary.cli.terminal.remote_names import confirm, in_catalog
from armillary.cli.terminal.times import moment
from armillary.errors import ConflictError, InvalidArgumentError

PATH = ("attestation-policy", "firmware")
MAX_FILE_BYTES = 256 * 1024  # what the service takes as one request


def read_values(file: Path, chip: str | None = None) -> tuple[str, list[dict[str, Any]]]:
    """The chip that a file is for, or the given one, and its reference values; InvalidArgumentError if it has none."""
    data = read_file(file, limit=MAX_FILE_BYTES)
    try:
        document = _document(data)
        values = rules.to_json(rules.from_json(document["values"]))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{file}: {error.message}", remedy=error.remedy) from error
    named = chip or document.get("chip")
    if not isinstance(named, str):
        raise InvalidArgumentError(
            f"{file}: the file names no chip", remedy="Give --chip NAME; armillary chip list shows them."
        )
    return named, values


def are_stated(remote: RemoteService, catalog: str, chip: str, values: list[dict[str, Any]]) -> bool:
    """Whether values are all stated as good in a catalog without an end; an error of the service if there is none."""
    lists = [one for one in _lists(remote, catalog) if one["chip"] == chip and one["expires_at"] is None]
    return {_key(value) for value in values} <= {_key(value) for one in lists for value in one["values"]}


def ask_to_state(remote: RemoteService, catalog: str, chip: str, values: list[dict[str, Any]], *, yes: bool) -> None:
    """Say what comes of stating values as good in a catalog, and ask; an error of the service if there is none such.

    ConflictError if the catalog has as many lists of values as it may have.
    """
    lists = _lists(remote, catalog)
    if len(lists) >= rules.MAX_LISTS:
        raise ConflictError(
            f"catalog {catalog} has {rules.MAX_LISTS} lists of firmware reference values",
            remedy="Remove one that no device needs: armillary attestation-policy firmware remove.",
        )
    before = [item for item in lists if item["chip"] == chip]
    known = {_key(value) for item in before for value in item["values"]}
    new = sum(_key(value) not in known for value in values)
    note(f"{counted(len(values), 'reference value')}, {new} new, for chip {chip} in catalog {catalog}.")
    gaps = missing_pcrs(chip, [{"chip": chip, "values": values}, *before])
    if gaps:
        note(gaps)
    note_open_chips(remote, catalog, chip)
    first = "" if before else f" They are the first for {chip}: its devices with a TPM must then send their log."
    confirm(f"State them as good?{first} Devices with other firmware get only updates.", yes=yes)


def note_open_chips(remote: RemoteService, catalog: str, chip: str) -> None:
    """Say that a catalog accepts chips for which it states no values, once values for ``chip`` are stated.

    A machine's chip is what its enrolment names, so that values for one chip bind no machine that enrols as another.
    """
    accepted = set(remote.get(in_catalog(remote, catalog, PATH[0]))["chips"])
    stated = {chip, *(item["chip"] for item in _lists(remote, catalog))}
    if accepted and accepted <= stated:
        return
    which = f"chips without reference values ({', '.join(sorted(accepted - stated))})" if accepted else "any chip"
    only = " ".join(f"--chip {name}" for name in sorted(accepted & stated or stated))
    note(
        f"Catalog {catalog} accepts {which}: firmware of a machine that is enrolled as another chip is not compared. "
        f"Accept those with values alone: armillary attestation-policy set --catalog {catalog} {only}"
    )


def state_values(
    remote: RemoteService,
    catalog: str,
    chip: str,
    values: list[dict[str, Any]],
    given_note: str,
    expires: str | None = None,
) -> Shown:
    """State values as good in a catalog, after :func:`ask_to_state`."""
    body = {
        "chip": chip,
        "values": values,
        "note": given_note,
        "expires_at": None if expires is None else moment("--expires", expires),
    }
    made = remote.post(in_catalog(remote, catalog, *PATH), body)
    return record(made, row=values_row)


def _lists(remote: RemoteService, catalog: str) -> list[dict[str, Any]]:
    """The lists of reference values that a catalog states, oldest first."""
    found: list[dict[str, Any]] = remote.get(in_catalog(remote, catalog, *PATH))["items"]
    return found


def _key(value: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return value["kind"], value["pcr"], value["digest"]


def missing_pcrs(chip: str, statements: Iterable[Mapping[str, Any]]) -> str | None:
    """A sentence on the PCRs of a chip that nothing is stated for; None if there are none."""
    stated = {value["pcr"] for item in statements if item["chip"] == chip for value in item["values"]}
    gaps = [f"{pcr} ({what})" for pcr, what in rules.JUDGED_PCRS.items() if pcr not in stated]
    return f"Nothing is stated for PCR {', '.join(gaps)}: every {chip} will fail there." if gaps else None


def values_row(item: Mapping[str, Any]) -> dict[str, Any]:
    """A line of values that were stated together, for people."""
    counts = Counter(value["pcr"] for value in item["values"])
    counted = [f"PCR {pcr}: {counts[pcr]}" for pcr in rules.JUDGED_PCRS if counts[pcr]]
    return {
        **readable({**item, "values": ""}),
        "values": counted,
        "expires_at": readable(item)["expires_at"] or "no end",
    }


def _document(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise InvalidArgumentError(
            f"expected a JSON document, got {error}",
            remedy="armillary attestation-policy firmware show --json prints one of the right form.",
        ) from error
    return found if isinstance(found, dict) and "values" in found else {"values": found}
