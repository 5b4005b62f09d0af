"""What pages say to people who know no program's words."""

from __future__ import annotations

import pytest

from tests.registration.conftest import NewService
from tests.registration.console import SETTINGS, text_of, visitor


@pytest.mark.anyio
async def test_a_form_that_is_too_long_is_refused_in_plain_words(new_service: NewService) -> None:
    ada = await visitor(await new_service(**SETTINGS), "author")
    refused = await ada.post("/board/broadcasts/new", {"title": "Long", "contents": "word " * 300_000})
    assert refused.status_code == 413
    said = text_of(refused.text)
    assert "That was too long" in said
    assert "nothing was kept of it" in said
    assert "bytes" not in said
