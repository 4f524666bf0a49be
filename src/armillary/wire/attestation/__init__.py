# SPDX-License-Identifier: Apache-2.0
"""Formats of remote attestation: evidence, event logs, TPM structures, reference values in CoRIM.

Not here: the appraisal of evidence (``armillary.attest``).
Specification: RFC 9711 (EAT), TCG PC Client Platform Firmware Profile, TPM 2.0 Part 2, draft-ietf-rats-corim.
"""
