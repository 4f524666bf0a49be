# SPDX-License-Identifier: Apache-2.0
"""The security service: knows every device, lets in only those that prove what they run, keeps them up to date.

One module per concern: registry (catalogs to devices), images, deployments, authority (certificates), verifier
(check-ins), releases (OS), rollouts and planner, watch (findings), audit, tokens, error reports, and the device
endpoint. ``assemble.py`` is the single place where they are built; :class:`armillary.service.assemble.SecurityService`
is what the API, the console and the command line hold. It has no SQL (``engines/records``), no rules of its own about
evidence, certificates or roll-outs (``attest``, ``identity``, ``rollout``) and no operator HTTP (``api``).

Specification: ``docs/reference/device-protocol.md`` for what devices see, ``docs/concepts/trust.md`` for why.
"""
