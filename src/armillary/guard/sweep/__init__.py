# SPDX-License-Identifier: Apache-2.0
"""The check of the guard: every frame there is, against a second reading of the profile that is written apart from it.

Not here: the guard itself (``armillary.guard``). Nothing of a running guardian uses this room.

Specification: ``docs/concepts/guardian.md``.
"""
