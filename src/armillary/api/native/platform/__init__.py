# SPDX-License-Identifier: Apache-2.0
"""Native routes of the application platform: templates, rules, groups, jobs, exports, dashboards, organisations.

Not here: what these documents do (``armillary.platform``). Specification: ``docs/reference/api.md``.
"""
