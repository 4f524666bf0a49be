# SPDX-License-Identifier: Apache-2.0
"""Properties and telemetry in IoT Central's form, from twins and last values."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.twin.central.properties import METADATA, component_properties, components_of, properties_of, telemetry_of
from armillary.twin.document.document import Twin, patch_desired, report
from armillary.wire.hub.telemetry import decode

NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
VALUES = st.integers(-5, 5) | st.booleans() | st.from_regex(r"[a-z]{0,5}", fullmatch=True)
SECTION = st.dictionaries(
    NAMES, VALUES | st.dictionaries(NAMES, VALUES, min_size=1, max_size=3).map(lambda d: {**d, "__t": "c"}), max_size=4
)


@given(SECTION, SECTION)
def test_every_value_of_a_twin_is_shown_once_in_its_place(desired: dict[str, Any], reported: dict[str, Any]) -> None:
    twin = report(patch_desired(Twin(device_id="d"), desired, now_ms=1), reported, now_ms=2)
    shown = properties_of(twin, (), {"Cloud": 1})
    assert shown["Cloud"] == 1
    components = {name for side in (desired, reported) for name, value in side.items() if isinstance(value, dict)}
    assert set(components_of(twin)) == components
    for name, value in reported.items():
        if name not in components:
            assert shown[name] == value
    for name, value in desired.items():
        if name not in components:
            assert shown[METADATA][name]["desiredValue"] == value
            assert shown[METADATA][name]["desiredVersion"] == 2
    for name in components:
        inner = component_properties(twin, name)
        assert inner == shown.get(name, {})
        assert "__t" not in inner
        sides = [side[name] for side in (desired, reported) if isinstance(side.get(name), dict)]
        assert set(inner.get(METADATA, {})) == {each for side in sides for each in side if each != "__t"}


def test_an_acknowledgement_becomes_metadata() -> None:
    twin = report(Twin(device_id="d"), {"a": {"value": 5, "ac": 203, "av": 4, "ad": "wait"}}, now_ms=0)
    stands = {"ackCode": 203, "ackVersion": 4, "ackDescription": "wait", "lastUpdateTime": "1970-01-01T00:00:00.000Z"}
    assert properties_of(twin, (), {}) == {"a": 5, METADATA: {"a": stands}}
    assert properties_of(Twin(device_id="d"), ("empty",), {}) == {}


OBJECTS = st.recursive(VALUES, lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=5)


@given(st.dictionaries(NAMES, OBJECTS, min_size=1, max_size=3))
def test_an_object_comes_back_from_the_metrics_that_it_was_kept_as(sent: dict[str, Any]) -> None:
    try:
        values = decode(json.dumps(sent).encode(), {}, 7).values
    except WireError:  # what telemetry refuses is not asked about here
        return
    lasts = [(name, value, 7) for name, value in values.items()]
    for name, value in sent.items():
        assert telemetry_of(name, lasts) == (value, 7)
    assert telemetry_of("nothing-of-it", lasts) is None
