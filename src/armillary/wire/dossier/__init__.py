# SPDX-License-Identifier: Apache-2.0
"""The dossier: a signed file of statements about a fleet with their evidence, verified without the service.

Not here: what is said, and of which requirements (``armillary.regulation``), and gathering it (``service/dossier``).
Specification: ``docs/reference/dossier.md``.
"""
