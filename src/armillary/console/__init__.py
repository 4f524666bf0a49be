# SPDX-License-Identifier: Apache-2.0
"""The console: server-rendered pages in which people see a fleet, judge a device and stop a roll-out.

What it is: a Starlette application, mounted at ``/`` beside the operator API. It asks the API's own view
functions in process, so a page never shows what the public API does not give. In each room ``read.py`` answers
pages and ``change.py`` acts; ``pages_*.py`` turn the API's answers into view models (pure functions: sentences,
states, ages), and templates only lay them out. ``sources`` says what can be asked, ``frame`` is what every page shares;
rooms stand on both, and ``dashboards`` on ``device`` on ``device_templates``.

What it is not: a second API, a place for rules, or a script application. Every page reads without script; htmx and
server-sent events only keep it fresh. Nothing is loaded from another host.

Specification: the permitted content is the strict policy in ``console/frame/guard.py`` (Content Security Policy level
3); forms follow OWASP's signed double-submit pattern; live values are ``text/event-stream`` (HTML, server-sent events).
"""
