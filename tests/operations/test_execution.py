"""Every operation that our callers send is answered from a real shop, to the kind of caller whose folder it lies in."""

import pytest

from tests.operations.conftest import Furnished, OpenDesk
from tests.operations.documents import ASKED_ONCE, Document, graph


@pytest.mark.parametrize("document", ASKED_ONCE, ids=str)
async def test_an_operation_is_answered_in_full(few: Furnished, opened: OpenDesk, document: Document) -> None:
    async with opened(few) as desk:
        answers = await desk.send(document)

    assert answers.errors == []
    assert answers.user_errors == []
    assert all(value is not None for data in answers.data for value in data.values())
    assert {path for path in document.lists(graph().schema) if not answers.objects[path]} == set()
