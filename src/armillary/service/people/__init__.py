# SPDX-License-Identifier: Apache-2.0
"""Named people: who may sign in to the console by a provider, what each is granted, and who is signed in now.

Not here: what a role reaches (``api/http/scope.py``), pages (``console/people``), rules (``identity/person.py``).
"""
