# SPDX-License-Identifier: Apache-2.0
"""The document store: device templates, rules, dashboards and other documents, each one versioned JSON document.

What it is: a SQLite file beside the series of one hub: put, read, list, delete, history, export and import as files.
What it is not: rules about the contents of a body, which are pure (``armillary.twin``); callers apply them before a
put.
"""
