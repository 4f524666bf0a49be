# SPDX-License-Identifier: Apache-2.0
"""Pages of threat monitoring and evidence: the seven properties.

Not here: findings (``console/operations``). Specification: ``docs/concepts/seven-properties.md``.
"""
