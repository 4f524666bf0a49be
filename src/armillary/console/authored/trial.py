# SPDX-License-Identifier: Apache-2.0
"""Reads what the chart of a tried rule shows: the values of one device in the time that was tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from armillary.console.authored.pages_trial import TrialChart, Values, charted, names_of, trial_chart
from armillary.console.frame.asking import ask
from armillary.console.frame.console import Visit
from armillary.twin.template.value_names import from_fields

# Stretches of time of one chart, each with its lowest and its highest value.
MAX_POINTS: Final = 600


def chart_of(
    visit: Visit, body: Mapping[str, Any], trial: Mapping[str, Any], labels: Mapping[str, str], chosen: str
) -> tuple[str, TrialChart | None]:
    """The device that is drawn (``chosen``, else the one that fired most), "" for none, and its chart."""
    tried = charted(trial, chosen)
    if tried is None:
        return "", None
    device_id, span = tried["device_id"], {"start_ms": trial["start_ms"], "end_ms": trial["end_ms"]}
    called = visit.sources.hub.called(device_id)
    values = [
        Values(
            name=from_fields(called(each)),
            points=ask(visit, "device_extremes", device_id=device_id, metric=each, max_points=MAX_POINTS, **span)[
                "items"
            ],
        )
        for each in names_of(body)
    ]
    made = trial_chart(tried, values, labels.get(device_id, device_id), **span)
    return device_id, None if made is None else replace(made, document=visit.said(made.document))
