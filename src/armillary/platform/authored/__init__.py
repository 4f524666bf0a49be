# SPDX-License-Identifier: Apache-2.0
"""Documents of authors: whose they are, how they are kept; groups, organisations, and facts about devices.

Not here: what a document may say (``armillary.twin``).
"""
