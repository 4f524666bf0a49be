# SPDX-License-Identifier: Apache-2.0
"""Verifies who a device is and what it booted: check-ins, reference values, policies.

Not here: the appraisal's rules (``armillary.attest``). Specification: ``docs/concepts/appraisal.md``.
"""
