# SPDX-License-Identifier: Apache-2.0
"""Pages of operations: roll-outs, findings, the audit log, catalogs, settings.

Not here: one device (``console/device``). Specification: ``docs/guides/operate.md``.
"""
