# SPDX-License-Identifier: Apache-2.0
"""Pages about what authors make: rules and their alerts, groups, jobs, exports, and how these are deleted.

Not here: device templates and dashboards, which have rooms of their own. Specification: ``docs/guides/operate.md``.
"""
