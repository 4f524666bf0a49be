# SPDX-License-Identifier: Apache-2.0
"""Commands about what authors make: templates, rules, groups, jobs, exports, dashboards, organisations.

Not here: what these documents do (``armillary.platform``). Specification: ``docs/reference/cli.md``.
"""
