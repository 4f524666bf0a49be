# SPDX-License-Identifier: Apache-2.0
"""Native routes of threat monitoring and evidence: what is known of devices' security, and what it rests on.

Not here: findings and attestation results of devices, which are in ``api/native/service``.
"""
