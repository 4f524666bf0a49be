# SPDX-License-Identifier: Apache-2.0
"""Sign-in by a provider: what the provider publishes, what the browser carries, what an ID token says.

Not here: the calls (``engines/outbound``), who is a person of this service (``service/people``). Specification: OpenID
Connect Core 1.0 and Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (issuer in the answer), RFC 7515 to 7519 (JOSE).
"""
