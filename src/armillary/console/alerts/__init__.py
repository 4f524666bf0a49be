# SPDX-License-Identifier: Apache-2.0
"""Pages of alerts: what devices say is wrong, who was told, who has acknowledged it.

Not here: the rules that fire (``console/rules``).
"""
