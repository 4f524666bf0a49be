# SPDX-License-Identifier: Apache-2.0
"""Advisories: signed feeds, what images are made of, which devices run what is affected, and since when they do not.

Not here: which component an advisory affects (``armillary.advisory``), formats (``armillary.wire.advisory``), tables
and queries (``engines/records/advisories``). Specification: ``docs/reference/advisory-feeds.md``.
"""
