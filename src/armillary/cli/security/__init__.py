# SPDX-License-Identifier: Apache-2.0
"""Commands of threat monitoring and evidence: what is known of devices' security, and what it rests on.

What it is not: findings and audit (``cli/service``), roll-outs and releases (``cli/release``). Specification:
``docs/reference/cli.md``.
"""
