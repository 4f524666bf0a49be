# SPDX-License-Identifier: Apache-2.0
"""Rules at work: which apply, their evaluation over incoming messages, durability, and the actions of a firing.

Not here: the language, the tables and the evaluation of one rule (``armillary.twin.rule``).
"""
