# SPDX-License-Identifier: Apache-2.0
"""The documents that authors write beside templates and rules: groups, jobs, exports, dashboards, organisations.

Pure. Not here: what they do (``armillary.platform``).
"""
