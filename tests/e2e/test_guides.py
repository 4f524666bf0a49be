# SPDX-License-Identifier: Apache-2.0
"""README's first minutes and the guides, followed to the letter: every block of a page is run, saved or checked as it stands.

``guides/stories.py`` says which pages are followed together, ``guides/blocks.py`` what pages can say of a block.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.guides.blocks import blocks_of
from tests.e2e.guides.person import Person
from tests.e2e.guides.stories import ELSEWHERE, STORIES

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.mark.parametrize("story", STORIES)
def test_the_pages_of_a_story_are_followed_to_the_letter(story: str, tmp_path: Path) -> None:
    with Person(tmp_path) as person:
        for part in STORIES[story]:
            elsewhere = frozenset(file for page, file in ELSEWHERE if page == part.page)
            person.follow(part.page, section=part.section, elsewhere=elsewhere)
            wanted = [
                each.place
                for each in blocks_of(part.page)
                if each.section == (part.section or each.section)
                and "not run" not in each.marks
                and each.key not in elsewhere
                and each.kind != "text"
            ]
            assert [place for place in person.done if place.startswith(f"{part.page}:")] == wanted
