# SPDX-License-Identifier: Apache-2.0
"""An application that is exported, packed, unpacked and imported elsewhere is the same, and an import says what it does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st

from armillary.engines.documents.files import export_files, keep_files, plan_import, read_files
from armillary.engines.documents.store import DocumentStore, Put
from armillary.wire.export.application_archive import pack_zip, unpack_zip

kinds = st.sampled_from(["group", "job", "rule", "dashboard", "template", "device"])
ids = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,12}[a-z0-9])?", fullmatch=True).filter(lambda text: ".." not in text)
leaves = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
bodies = st.dictionaries(
    texts, st.recursive(leaves | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4
)
applications = st.dictionaries(st.tuples(kinds, ids), bodies, max_size=8)
ALL = ("dashboard", "device", "group", "job", "rule", "template")


def anything(*_: Any) -> None:
    """Accepts every body."""


def filled(folder: Path, name: str, documents: dict[tuple[str, str], dict[str, Any]]) -> DocumentStore:
    store = DocumentStore(folder / name, clock=lambda: 0.0)
    store.change([Put(kind, each, body) for (kind, each), body in documents.items()], by="t")
    return store


@settings(max_examples=40, deadline=None)
@given(here=applications, there=applications)
def test_round_trip(here: dict[tuple[str, str], Any], there: dict[tuple[str, str], Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = filled(Path(folder), "a", here), filled(Path(folder), "b", there)
        files = export_files(first, ALL)
        assert len(files) == len(here)
        puts = read_files(unpack_zip(pack_zip(files)), anything)
        plan = {(step.kind, step.id): step.change for step in plan_import(second, puts, ALL)}
        before, seq = export_files(second, ALL), second.seq
        assert plan.keys() == here.keys() | there.keys()
        keep_files(second, puts, by="t", replace=ALL)
        assert export_files(second, ALL) == files
        assert second.seq - seq == sum(change != "same" for change in plan.values())  # the plan is what was done
        for place, change in plan.items():
            present, wanted = place in there, place in here
            assert (change == "deleted") == (not wanted)
            assert (change == "new") == (not present)
        again = plan_import(second, puts, ALL)
        assert {step.change for step in again} <= {"same"}
        keep_files(second, puts, by="t", replace=ALL)
        assert second.seq - seq == sum(change != "same" for change in plan.values())
        if before == files:
            assert set(plan.values()) <= {"same"}
        first.close()
        second.close()
