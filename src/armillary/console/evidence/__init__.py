# SPDX-License-Identifier: Apache-2.0
"""Pages of evidence: traces, products, cases with their clocks, dossiers, vulnerability reports of strangers.

Not here: findings, advisories and crashes (``console/security``). Specification: ``docs/guides/trace.md``,
``docs/guides/cra-reporting.md``.
"""
