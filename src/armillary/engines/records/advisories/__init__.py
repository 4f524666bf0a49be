# SPDX-License-Identifier: Apache-2.0
"""Queries about what runs where, and about advisories: feeds, their records, bills of materials, who is affected.

Not here: tables and rows (``engines/records/schema``), which component an advisory affects (``armillary.advisory``) and
decisions (``armillary.service.advisories``). Specification: ``docs/reference/advisory-feeds.md``.
"""
