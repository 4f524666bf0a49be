# SPDX-License-Identifier: Apache-2.0
"""Rules over what devices send: their language, state machine and evaluation, and explanations of it in words.

Pure functions. Not here: when rules are evaluated and what a firing does (``armillary.platform.rules``).
"""
