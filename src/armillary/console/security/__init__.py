# SPDX-License-Identifier: Apache-2.0
"""Pages of threat monitoring and evidence: findings, advisories, crashes, traces, the seven properties.

Not here: roll-outs (``console/operations``), bills of materials (``console/releases``). Specification:
``docs/concepts/detection.md``, ``docs/concepts/seven-properties.md``.
"""
