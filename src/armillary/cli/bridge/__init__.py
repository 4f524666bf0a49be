# SPDX-License-Identifier: Apache-2.0
"""Commands for fleets that come from hawkBit: ``armillary bridge``.

Specification: ``docs/guides/move-from-hawkbit.md``.
"""
