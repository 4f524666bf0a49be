# SPDX-License-Identifier: Apache-2.0
"""Rows of actions, of the devices that they touch, and of playbooks that were applied.

Not here: the rules (``response``), and who does what an action says (``service/response``).
"""
