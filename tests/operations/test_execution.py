"""Every operation that our callers send is answered from a real shop, to the kind of caller whose folder it lies in."""

import pytest

from tests.operations.conftest import Furnished, OpenDesk
from tests.operations.documents import ASKED_ONCE, Document, graph

REHEARSED = [document for document in ASKED_ONCE if document.takes("dryRun")]


@pytest.mark.parametrize("document", ASKED_ONCE, ids=str)
async def test_an_operation_is_answered_in_full(few: Furnished, opened: OpenDesk, document: Document) -> None:
    async with opened(few) as desk:
        answers = await desk.send(document)

    assert answers.errors == []
    assert answers.user_errors == []
    assert all(value is not None for data in answers.data for value in data.values())
    assert {path for path in document.lists(graph().schema) if not answers.objects[path]} == set()


@pytest.mark.parametrize("document", REHEARSED, ids=str)
async def test_a_dry_run_answers_in_full_and_keeps_nothing(
    few: Furnished, opened: OpenDesk, document: Document
) -> None:
    async with opened(few) as desk:
        (variables, *_) = await desk.requests.of(document)
        before = await desk.contents()
        answers = await desk.send(document, [variables | {"dryRun": True}])
        after = await desk.contents()

    assert answers.errors == answers.user_errors == []
    assert {path for path in document.lists(graph().schema) if not answers.objects[path]} == set()
    assert after == before
