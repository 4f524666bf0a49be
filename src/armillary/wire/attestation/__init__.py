# SPDX-License-Identifier: Apache-2.0
"""What proves a boot: evidence, event logs, TPM structures, reference values in CoRIM.

Not here: whether a proof is good (``armillary.attest``).
Specification: RFC 9711 (EAT), TCG PC Client Platform Firmware Profile, TPM 2.0 Part 2, draft-ietf-rats-corim.
"""
