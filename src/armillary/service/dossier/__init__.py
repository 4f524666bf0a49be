# SPDX-License-Identifier: Apache-2.0
"""Dossiers: gathers what the service holds of a catalog or of all, and makes the signed file of it.

Not here: which requirements there are (``content/standards``), what a state means (``armillary.regulation.statement``)
and the file (``armillary.wire.dossier``). Specification: ``docs/concepts/dossier.md``, ``docs/reference/dossier.md``.
"""
