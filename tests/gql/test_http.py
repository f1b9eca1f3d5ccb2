import httpx2


async def test_a_query_is_answered(http):
    answer = await http.post("", json={"query": "{ hello }"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {"hello": "hello world"}
