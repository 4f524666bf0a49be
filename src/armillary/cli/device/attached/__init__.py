# SPDX-License-Identifier: Apache-2.0
"""``armillary device``: the verbs that ask a running device by its own API, with the nouns of ``az sphere``.

What it is not: verbs that ask the service (``in_service``), and the API itself (``device/rest``).
"""
