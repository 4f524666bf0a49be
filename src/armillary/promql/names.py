# SPDX-License-Identifier: Apache-2.0
"""Names of metrics: those of values, with every character that Prometheus does not know replaced by ``_``.

Prometheus' data model: ``[a-zA-Z_:][a-zA-Z0-9_:]*``, where colons are kept for recording rules.
"""

from __future__ import annotations

import re
from typing import Final

_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(value: str) -> str:
    """The metric of a value's name: ``engine.oil temp`` is ``engine_oil_temp``, ``3phase`` is ``_3phase``."""
    replaced = _FOREIGN.sub("_", value)
    return f"_{replaced}" if replaced[:1].isdigit() or not replaced else replaced
