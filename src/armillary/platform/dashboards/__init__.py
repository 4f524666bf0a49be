# SPDX-License-Identifier: Apache-2.0
"""Dashboards: the devices that their tiles are about.

Not here: what a dashboard says (``twin/author/dashboard.py``), and what its tiles show (``api/views/dashboard.py``).
Specification: ``docs/guides/dashboards.md``.
"""
