# SPDX-License-Identifier: Apache-2.0
"""Queries of threat monitoring and evidence: what is known of devices' security.

Not here: findings and the audit, which every part of the service writes (``queries/findings.py``, ``audit.py``).
"""
