# SPDX-License-Identifier: Apache-2.0
"""Rules over what devices say: the language, the state table, the evaluation, their words.

Pure. Not here: when they are evaluated and what a firing does (``armillary.platform.rules``).
"""
