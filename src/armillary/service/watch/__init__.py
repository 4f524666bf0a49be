# SPDX-License-Identifier: Apache-2.0
"""What comes in becomes findings: failed check-ins, error reports; and a stopped or slow verifier is noticed.

Not here: what is done about it (``armillary.rollout``).
"""
