# SPDX-License-Identifier: Apache-2.0
"""From manufacture and power-on to a boot session: what is verified, measured and started, in order.

Not here: the rules of the chain (``armillary.boot``). Specification: ``docs/concepts/trust.md``.
"""
