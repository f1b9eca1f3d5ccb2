"""Every list that an operation pages through gives each of its rows once, in one order, whatever the page's size."""

from typing import Any

import pytest

from tests.operations.conftest import Furnished, OpenDesk
from tests.operations.desk import Desk
from tests.operations.documents import ASKED_ONCE, Document, Selected, graph

PAGED = [
    (document, field)
    for document in ASKED_ONCE
    for field in document.selected(graph().schema)
    if "after" in field.variables
]


async def page(desk: Desk, document: Document, field: Selected, first: int, after: str | None) -> Any:
    (variables, *_) = await desk.requests.of(document)
    paging = {field.variables["first"]: first, field.variables["after"]: after}
    answers = await desk.send(document, [variables | paging])
    assert answers.errors == []
    found: Any = answers.data[0]
    for name in field.path:
        found = found[name]
    return found


def rows(connection: Any) -> list[str]:
    nodes = connection["nodes"] if "nodes" in connection else [edge["node"] for edge in connection["edges"]]
    return [node["id"] for node in nodes]


@pytest.mark.parametrize(("document", "field"), PAGED, ids=lambda each: getattr(each, "name", None))
async def test_page_by_page_each_row_comes_once(
    few: Furnished, opened: OpenDesk, document: Document, field: Selected
) -> None:
    async with opened(few) as desk:
        whole = rows(await page(desk, document, field, 50, None))
        paged: list[str] = []
        after, more = None, True
        while more and len(paged) <= len(whole):
            connection = await page(desk, document, field, 2, after)
            paged += rows(connection)
            after, more = connection["pageInfo"]["endCursor"], connection["pageInfo"]["hasNextPage"]

    assert len(whole) > 2
    assert paged == whole
