# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian``: equipment that must never be on a network, and the guardians before it; one file a verb.

Not here: what a guardian may do (``armillary.guard``), links (``armillary.engines.equipment``), the process on the
device (``armillary.guardian``).

Specification: docs/reference/cli.md, docs/concepts/guardian.md.
"""
