# SPDX-License-Identifier: Apache-2.0
"""One action on many rows of a table: ticked in the list, asked about with their names, done one by one.

Each row is changed by the same question as on its own page, so that role, catalog and audit line are the same; what
fails is named with its reason, and the others are done. A form that asked is taken once. Not here: alerts, whose own
page acknowledges all that match (``console/alerts``).
"""
