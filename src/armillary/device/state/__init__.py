# SPDX-License-Identifier: Apache-2.0
"""What a device keeps on disk and how it keeps it: identity, folder, clock, journal, error reports.

Not here: decisions. Specification: ``docs/reference/records.md``.
"""
