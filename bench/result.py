# SPDX-License-Identifier: Apache-2.0
"""One result of a measurement."""

from __future__ import annotations


def result(
    name: str, value: float, unit: str, against: tuple[str, float], conditions: str, *, ratio: float | None = None
) -> dict[str, object]:
    """A value ``against`` its reference: what that is and its value; ``ratio`` is of the two unless it is given."""
    reference, reference_value = against
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": value / reference_value if ratio is None else ratio,
        "conditions": conditions,
    }
