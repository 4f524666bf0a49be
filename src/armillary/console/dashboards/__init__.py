# SPDX-License-Identifier: Apache-2.0
"""Dashboards: their pages, tiles, forms, pictures and Markdown.

Not here: what a tile shows (``armillary.platform``). Specification: ``docs/guides/operate.md``.
"""
