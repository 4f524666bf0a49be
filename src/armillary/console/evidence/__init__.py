# SPDX-License-Identifier: Apache-2.0
"""Pages of evidence: traces, products and their support, cases that must be reported with their clocks.

Not here: findings, advisories and crashes (``console/security``). Specification: ``docs/guides/trace.md``,
``docs/guides/cra-reporting.md``.
"""
