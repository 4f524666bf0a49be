# SPDX-License-Identifier: Apache-2.0
"""Measurements: one module a subject, each with ``run() -> list of results``.

A result is ``{"name", "value", "unit", "reference", "reference_value", "ratio", "conditions"}``; the reference
(a limit or a peer) is measured in the same run. Figures live here and never as timed assertions in tests.
``make bench`` runs all and writes ``bench/results/latest.json``; ``armillary bench NAME`` runs one.
"""
