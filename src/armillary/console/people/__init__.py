# SPDX-License-Identifier: Apache-2.0
"""People: signing in by the provider, who may sign in, who is signed in now, and one's own account.

Not here: the frame's sign-in by token (``frame/sign_in.py``), what people are granted (``service/people``).
"""
