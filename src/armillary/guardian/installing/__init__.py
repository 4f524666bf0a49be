# SPDX-License-Identifier: Apache-2.0
"""Installs signed recipes and firmware in equipment: written, read back, started, and taken back when that fails.

Not here: what may be written and when (``armillary.guard.installing``), what the files say
(``armillary.wire.equipment.files``).

Specification: ``docs/concepts/guardian.md``.
"""
