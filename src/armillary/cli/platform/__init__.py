# SPDX-License-Identifier: Apache-2.0
"""Commands for documents of the platform: templates, rules, groups, jobs, exports, dashboards, organisations.

What it is not: the platform itself (``armillary.platform``). Specification: ``docs/reference/cli.md``.
"""
