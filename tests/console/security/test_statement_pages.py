# SPDX-License-Identifier: Apache-2.0
"""VEX statements on the page of an advisory: stated with an author, signed, taken back; and answers as of a time."""

from __future__ import annotations

import time

from tests.console.security_scene import ADVISORY, ALIAS, SecurityScene

from armillary.console.security import pages_statements
from armillary.wire.advisory import own_statement
from armillary.wire.advisory.vex import Status

HERE = f"/advisories/{ADVISORY}"


def test_the_form_has_the_words_of_the_format() -> None:
    assert tuple(pages_statements.JUSTIFICATIONS) == own_statement.JUSTIFICATIONS
    assert set(pages_statements.SUBJECTS) == set(own_statement.SUBJECTS)
    assert set(pages_statements.STATUSES) == {each.value for each in Status}


def test_something_is_stated_and_taken_back(security_scene: SecurityScene) -> None:
    browser = security_scene.browser("Contributor")
    sent = {
        "subject": "image", "named": str(security_scene.bad), "catalog": "northwind", "status": "not_affected",
        "justification": "", "author": "Ann, firmware team", "reason": "we do not <call> it", "component": "",
    }  # fmt: skip
    refused = browser.post(f"{HERE}/statements", **sent)
    assert (refused.status, "belongs to not_affected" in refused.text) == (400, True)
    assert "we do not &lt;call&gt; it" in refused.text
    stated = browser.post(f"{HERE}/statements", **{**sent, "justification": "vulnerable_code_not_present"})
    assert stated.status == 303
    page = browser.get(f"/advisories/{ALIAS}").text
    assert "Ann, firmware team" in page
    assert "vulnerable code not present" in page
    assert f"{ADVISORY} affects no device" in page
    (found,) = security_scene.service.advisories.statements.page("northwind").items
    way = f"/advisory-statements/{found.row.statement_id}/take-back"
    assert f'href="{way}"' in page
    asked = browser.get(way).text
    assert "One statement of Ann, firmware team about PYSEC-2026-7" in asked
    assert browser.confirm(way, reason="it is called").status == 303
    page = browser.get(HERE).text
    assert f"{ADVISORY} affects 2 devices" in page
    assert "Contributor-token: it is called" in page
    assert "State it" not in security_scene.browser("Reader").get(HERE).text


def test_an_earlier_time_is_answered_as_it_was(security_scene: SecurityScene) -> None:
    browser = security_scene.browser("Reader")
    then = time.strftime("%Y-%m-%d+%H:%M:%S", time.gmtime())
    assert "As the service would have answered at" in browser.get(f"{HERE}?at={then}").text
    odd = browser.get(f"{HERE}?at=yesterday")
    assert (odd.status, "expected a time such as" in odd.text) == (400, True)
