# SPDX-License-Identifier: Apache-2.0
"""The watch: turns failed check-ins, refusals, error reports and a stopped or slow verifier into findings.

Not here: what is done about a finding (``armillary.rollout`` holds roll-outs), nor the rules that operators write for
telemetry (``armillary.platform.rules``).
"""
