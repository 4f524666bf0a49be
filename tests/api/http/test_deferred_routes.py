# SPDX-License-Identifier: Apache-2.0
"""Routes that are analysed at their first request: nothing is said about it on the way."""

from __future__ import annotations

import warnings

from armillary.api.app import SHAPES
from armillary.api.http.routes import DeferredRoute

ROWS = [(row, shape) for shape in SHAPES if shape.mounted is None for row in shape.routes]


def test_a_body_is_read_without_a_warning() -> None:
    """pydantic builds models late here, and would warn of the names that FastAPI gives to bodies."""
    bodies = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for row, shape in ROWS:
            field = DeferredRoute(row, shape).analyse().body_field
            if field is not None:
                field.validate({}, {}, loc=("body",))
                bodies += 1
    assert bodies > 60
