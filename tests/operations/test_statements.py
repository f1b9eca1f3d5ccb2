"""No N+1: a list of fifty takes no more SQL statements than a list of five, whatever hangs on its rows."""

import pytest

from tests.operations.conftest import Furnished, OpenDesk
from tests.operations.documents import ASKED_ONCE, Document, graph
from tests.operations.world import TAXES_MAX

# Lists that hold no more than so many, however large the shop is.
MOST = {"shippingTaxLines": TAXES_MAX, "checks": 1}


@pytest.mark.parametrize("document", [each for each in ASKED_ONCE if each.lists(graph().schema)], ids=str)
async def test_fifty_take_no_more_statements_than_five(
    few: Furnished, many: Furnished, opened: OpenDesk, document: Document
) -> None:
    async with opened(few) as desk:
        of_five = await desk.send(document)
    async with opened(many) as desk:
        of_fifty = await desk.send(document)

    wanted = {
        path: min(many.size, MOST.get(path.rpartition(".")[2], many.size)) for path in document.lists(graph().schema)
    }
    assert {path: of_fifty.objects[path] for path in wanted if of_fifty.objects[path] < wanted[path]} == {}
    assert of_fifty.statements <= of_five.statements
