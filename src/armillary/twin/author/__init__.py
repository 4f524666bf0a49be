# SPDX-License-Identifier: Apache-2.0
"""Documents that authors write besides templates and rules: groups, jobs, exports, dashboards, organisations.

Reading and checking them, and the decisions that follow from them, as pure functions. Not here: carrying the decisions
out (``armillary.platform``).
"""
