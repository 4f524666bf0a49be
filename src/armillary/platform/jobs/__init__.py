# SPDX-License-Identifier: Apache-2.0
"""Jobs at work: when they run, on which devices, with what result; updates of devices as jobs.

Not here: the language of a job (``armillary.twin.author``).
"""
