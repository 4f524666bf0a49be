# SPDX-License-Identifier: Apache-2.0
"""The application platform: what authors make of devices' data. Templates, rules, groups, jobs, exports, dashboards.

What it is: the parts that keep authors' documents and act by them. What it is not: formats and decisions
(``armillary.twin``), rows (``armillary.engines``), connections of devices (``armillary.hub``).
Specification: ``docs/concepts/``: rules, jobs, data export, device groups, device templates.
"""
