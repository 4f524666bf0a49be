# SPDX-License-Identifier: Apache-2.0
"""Device templates at work: kept, published, and messages checked against them.

Not here: what a template is (``armillary.twin.template``).
"""
