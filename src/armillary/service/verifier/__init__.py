# SPDX-License-Identifier: Apache-2.0
"""Is it the device that it says it is, and what did it boot? Check-ins, reference values, policies.

Not here: the appraisal's rules (``armillary.attest``). Specification: ``docs/concepts/appraisal.md``.
"""
