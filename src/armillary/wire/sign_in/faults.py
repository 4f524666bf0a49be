# SPDX-License-Identifier: Apache-2.0
"""What goes wrong when somebody signs in by a provider; part of the tree of ``errors.py``."""

from __future__ import annotations

from armillary.errors import HostError, UnauthenticatedError


class SignInRefusedError(UnauthenticatedError):
    """Somebody who comes back from the sign-in provider is not let in."""

    code = "sign-in.refused"
    remedy = "Sign in again. If it comes back, an administrator should look at the service's log."


class UnknownKeyError(SignInRefusedError):
    """An ID token names a key that the provider has not published."""

    code = "sign-in.unknown-key"


class ProviderError(HostError):
    """The sign-in provider cannot be reached, or answers what OpenID Connect does not allow."""

    code = "sign-in.provider"
    remedy = "Sign in with an operator token meanwhile; an administrator should compare the settings oidc_*."
