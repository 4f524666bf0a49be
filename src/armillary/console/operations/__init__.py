# SPDX-License-Identifier: Apache-2.0
"""Pages of operations: roll-outs, the audit log, catalogs, settings.

Not here: one device (``console/device``), findings (``console/security``). Specification: ``docs/guides/operate.md``.
"""
