# SPDX-License-Identifier: Apache-2.0
"""The document store: templates, rules, dashboards and the like, one versioned JSON document each.

What it is: a SQLite file beside the series of one hub: put, read, list, delete, history, export and import as files.
What it is not: rules about what a body says. Those are pure (``armillary.twin``); callers apply them before a put.
"""
