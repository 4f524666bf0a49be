# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian probe``: what an unknown machine answers, one module for each protocol. They only read.

Not here: what may be asked and what a draft looks like (``armillary.guard.discovery``), and how the questions reach a
machine (``armillary.engines.equipment``).

Specification: ``docs/reference/equipment-links.md``.
"""
