# SPDX-License-Identifier: Apache-2.0
"""State of a device on disk: identity, folder layout, clock, journal, error reports, permissions.

What it is not: the decisions made from it. Specification: ``docs/reference/records.md``.
"""
