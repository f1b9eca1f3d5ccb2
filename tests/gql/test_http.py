"""GraphQL over HTTP: what is served, what is refused and how, and that nothing sent to it breaks it."""

import asyncio
import json
import re
import subprocess
from uuid import UUID

import httpx2
import pytest
from graphql import get_introspection_query
from structlog.testing import capture_logs

from tests.gql.node import JS, node_modules
from tests.gql.toy import CHANNEL, serving

GRAPHQL = "application/graphql-response+json"


def codes(answer):
    return [error["extensions"]["code"] for error in answer.json().get("errors", [])]


async def test_a_query_is_answered_with_its_cost(http):
    answer = await http.post("query($n: String!) { hello(name: $n) }", variables={"n": "Ann"})

    assert answer.status_code == 200
    assert answer.json()["data"] == {"hello": "hello Ann"}
    assert answer.json()["extensions"]["cost"] == {"requested": 0, "limit": 1000}


async def test_get_serves_queries_and_no_mutations(http, shop):
    answer = await http.client.get(
        shop.url, params={"query": "query($n:String){hello(name:$n)}", "variables": '{"n":"B"}'}
    )
    assert answer.json()["data"] == {"hello": "hello B"}

    query = 'mutation{toyMake(input:{name:"x"},idempotencyKey:"k"){userErrors{code}}}'
    answer = await http.client.get(shop.url, params={"query": query}, headers={"x-orderwire-key": "maker"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("accept", "query", "status", "type_"),
    [
        (None, "{ hello }", 200, "application/json"),
        ("*/*", "{ hello }", 200, "application/json"),
        ("application/json", "{ nothing }", 200, "application/json"),
        ("application/json", "{", 200, "application/json"),
        (GRAPHQL, "{ hello }", 200, GRAPHQL),
        (GRAPHQL, "{ nothing }", 400, GRAPHQL),
        (GRAPHQL, "{", 400, GRAPHQL),
        (GRAPHQL, "query($n: Int!) { long(n: $n) }", 400, GRAPHQL),
        (f"application/json;q=0.5, {GRAPHQL}", "{ nothing }", 400, GRAPHQL),
        (f"application/json, {GRAPHQL};q=0.1", "{ nothing }", 200, "application/json"),
        ("application/json;q=0, */*", "{ hello }", 406, "application/json"),
        ("text/html", "{ hello }", 406, "application/json"),
        ("text/event-stream", "{ hello }", 200, "text/event-stream"),
        ("application/json", "subscription { count { number } }", 406, "application/json"),
    ],
)
async def test_status_and_media_type_follow_the_accept_header(http, accept, query, status, type_):
    answer = await http.post(query, accept=accept) if accept else await http.post(query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, f"{type_}; charset=utf-8") or (
        type_ == "text/event-stream" and answer.headers["content-type"].startswith(type_)
    )


MALFORMED = [
    b"",
    b"{",
    b"null",
    b"true",
    b"1",
    b'"x"',
    b"[]",
    b'[{"query":"{hello}"}]',
    b"{}",
    b'{"query":null}',
    b'{"query":""}',
    b'{"query":1}',
    b'{"query":["{hello}"]}',
    b'{"query":"{hello}","variables":1}',
    b'{"query":"{hello}","variables":"{}"}',
    b'{"query":"{hello}","variables":[]}',
    b'{"query":"{hello}","operationName":1}',
    b'{"query":"{hello}","operationName":{}}',
    b'{"query":"{hello}","extensions":[]}',
    b'{"query":"{hello}","extensions":"x"}',
    b'{"query":"{hello}","documentId":5}',
    b'{"query":"{hello}","documentId":"sha256:00"}',
    b'{"documentId":"md5:00"}',
    b'{"documentId":"sha256:' + b"0" * 64 + b'"}',
    b'{"extensions":{"persistedQuery":5}}',
    b'{"extensions":{"persistedQuery":{"sha256Hash":"zz"}}}',
    b"\xff\xfe{}",
    b'{"query":"\xff"}',
    b'{"query":"{hello}","variables":{"a":"\\u0000"}}',
    b'{"query":"{hello}","variables":{"\\u0000":1}}',
    b'{"query":"{hello}","variables":{"a":"\\ud800"}}',
    b'{"query":"\\ud800"}',
    b'{"query":"{hello}","variables":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    b"[" * 100_000,
    b'{"a":' * 40_000,
    b'{"query":"{hello}","variables":{"a":NaN}}',
    b'{"query":"{hello}",}',
    b"{'query':'{hello}'}",
    b'{"query":"{hello}"}{"query":"{hello}"}',
]


async def test_what_is_no_request_is_a_400_with_a_reason(http):
    for body in MALFORMED:
        answer = await http.raw(body)
        assert answer.status_code == 400 or codes(answer) == ["PERSISTED_DOCUMENT_NOT_FOUND"], (body[:60], answer.text)
        assert answer.json()["errors"][0]["message"]
        assert "Traceback" not in answer.text

    assert (await http.post("{ hello }")).status_code == 200


WRONG = [
    ("{", "GRAPHQL_PARSE_FAILED"),
    ("query {", "GRAPHQL_PARSE_FAILED"),
    ('{ hello(name: "\\u0000") }', "GRAPHQL_VALIDATION_FAILED"),
    ('{ hello(name: "\\ud800") }', "GRAPHQL_PARSE_FAILED"),
    ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
    ("type A { b: Int }", "GRAPHQL_VALIDATION_FAILED"),
    ("fragment F on Query { ...F }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ ...F } fragment F on Nothing { x }", "GRAPHQL_VALIDATION_FAILED"),
    ("query A { hello } query B { hello }", "OPERATION_RESOLUTION_FAILED"),
    ("{" * 900, "GRAPHQL_PARSE_FAILED"),
    ("{ named " * 600 + "{ name }" + "}" * 600, "GRAPHQL_PARSE_FAILED"),
    ("{ named " * 60 + "{ name }" + "}" * 60, "QUERY_TOO_COMPLEX"),
    ("{ " + "hello " * 2100 + "}", "GRAPHQL_PARSE_FAILED"),
    ("{ hello }" + "#\n" * 600, "GRAPHQL_PARSE_FAILED"),
    ("{ long(n: 99999999999999999999999999) }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ long(n: " + "9" * 6000 + ") }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ json(value: " + "[" * 40 + "]" * 40 + ") }", "GRAPHQL_VALIDATION_FAILED"),
    ('{ at(at: "2026-03-01T09:30:00") }', "GRAPHQL_VALIDATION_FAILED"),
    ('{ zone(zone: "Mars/Base") }', "GRAPHQL_VALIDATION_FAILED"),
    ("subscription { count { number } again: count { number } }", "GRAPHQL_VALIDATION_FAILED"),
]


async def test_what_is_no_valid_document_is_named(http):
    for query, code in WRONG:
        answer = await http.post(query, accept=GRAPHQL)
        assert answer.status_code == 400, (query[:60], answer.text)
        assert set(codes(answer)) == {code}, (query[:60], answer.text[:300])
        assert len(answer.json()["errors"]) <= 5


async def test_wrong_values_of_variables_are_named(http):
    for type_, value in [
        ("Long!", 2**63),
        ("Long!", "1"),
        ("Long!", True),
        ("Int!", 2**31),
        ("DateTime!", "yesterday"),
        ("DateTime!", "2026-02-30T00:00:00Z"),
        ("DateTime!", 5),
        ("JSON!", json.loads("[" * 60 + "]" * 60)),
    ]:
        field = {"Long!": "long(n: $v)", "Int!": 'price(minor: $v, currency: "EUR") { amount }'}.get(type_)
        field = field or {"DateTime!": "at(at: $v)", "JSON!": "json(value: $v)"}[type_]
        answer = await http.post(f"query($v: {type_}) {{ {field} }}", accept=GRAPHQL, variables={"v": value})
        assert (answer.status_code, codes(answer)) == (400, ["BAD_USER_INPUT"]), (type_, value, answer.text)


@pytest.mark.parametrize("digits", [41, 6_000])
@pytest.mark.parametrize(
    "query",
    [
        "{ toys(first: %s) { nodes { name } } }",
        "{ toys(first: -%s) { nodes { name } } }",
        "query($n: Int = %s) { toys(first: $n) { nodes { name } } }",
        "{ long(n: [%s]) }",
        "{ json(value: {a: [%s]}) }",
        "{ json(value: 0.%s) }",
        "{ json(value: 1e%s) }",
    ],
)
async def test_a_number_longer_than_any_type_takes_is_refused_in_plain_words(http, query, digits):
    answer = await http.post(query % ("9" * digits))

    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert error["message"] == "A number has at most 40 characters: send fewer digits, or a string where one is taken."
    assert error["locations"][0]["column"] > 1


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 6_000, "1e999"])
async def test_a_number_too_large_to_be_read_is_refused_where_it_stands(http, number):
    answer = await http.raw(b'{"query":"query($n: Long!) { long(n: $n) }","variables":{"n":%s}}' % number.encode())

    assert (answer.status_code, codes(answer)) == (400, ["BAD_REQUEST"])
    assert re.fullmatch(
        r"A number at line 1, column \d+, is too large to be read: send a smaller one, or a string .*",
        answer.json()["errors"][0]["message"],
    )


@pytest.mark.parametrize("type_", ["Long", "Int", "JSON"])
@pytest.mark.parametrize("number", ["9" * 20, "9" * 300])
async def test_large_numbers_in_variables_are_named_with_their_type(http, type_, number):
    field = {"Long": "long(n: $n)", "Int": "big(kilobytes: $n)", "JSON": "json(value: $n)"}[type_]
    query = f"query($n: {type_}!) {{ {field} }}".encode()

    answer = await http.raw(b'{"query":"%s","variables":{"n":%s}}' % (query, number.encode()))

    if type_ == "JSON":  # a number like any other, as exact as JSON numbers are
        assert answer.json()["data"]["json"] == float(number)
    else:
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert type_ in error["message"]
        assert len(error["message"]) < 600


async def test_a_null_where_a_default_stands_is_the_clients_mistake(http):
    answer = await http.post("query($n: String) { hello(name: $n) }", variables={"n": None})
    assert codes(answer) == ["BAD_USER_INPUT"], answer.text


async def test_scalars_go_there_and_back(http):
    query = """{ at(at: "2026-03-01T10:30:00.5+01:00") long(n: 9007199254740993) json(value: {a: [1, null]})
        yen: price(minor: 20, currency: "JPY") { amount minorUnits }
        dinar: price(minor: 1500, currency: "KWD") { amount } }"""
    assert (await http.post(query)).json()["data"] == {
        "at": "2026-03-01T09:30:00.500000Z",
        "long": 9007199254740993,
        "json": {"a": [1, None]},
        "yen": {"amount": "20", "minorUnits": 20},
        "dinar": {"amount": "1.500"},
    }


async def test_only_json_in_utf8_is_taken(http):
    for type_ in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"]:
        assert (await http.raw(b'{"query":"{hello}"}', content_type=type_)).status_code == 415, type_
    assert (await http.raw(b"{}", content_type="application/json; charset=utf-16")).status_code == 415
    assert (await http.raw(b"{}", content_encoding="gzip")).status_code == 415
    assert (await http.raw(b'{"query":"{hello}"}', content_type="application/json;charset=UTF-8")).status_code == 200


async def test_other_methods_are_refused(http, shop):
    for method in ["PUT", "DELETE", "PATCH", "HEAD"]:
        assert (await http.client.request(method, shop.url)).status_code == 405, method


async def test_bad_query_strings_are_a_400(http, shop):
    for query_string in ["", "query=%ff", "query={hello}&query={hello}", "query={hello}&variables=1", "variables={}"]:
        answer = await http.client.get(f"{shop.url}?{query_string}")
        assert answer.status_code == 400, (query_string, answer.text)


async def test_large_bodies_are_refused_before_they_are_read(http):
    padding = b" " * (256 * 1024)
    assert (await http.raw(b'{"query":"{hello}"}' + padding)).status_code == 413

    async def chunks():
        for _ in range(300):
            yield b" " * 1024

    assert (await http.raw(chunks())).status_code == 413


async def test_rights_are_checked_before_anything_runs(http):
    answer = await http.post("{ hello toy { weight } }")
    assert (answer.status_code, codes(answer)) == (401, ["UNAUTHENTICATED"])
    assert "data" not in answer.json()
    assert "www-authenticate" in answer.headers

    answer = await http.post("{ toy { ...F } } fragment F on Toy { parts { hidden: secret } }", key="reader")
    assert (answer.status_code, codes(answer)) == (403, ["FORBIDDEN"])
    error = answer.json()["errors"][0]
    assert error["path"] == ["toy", "parts", "hidden"]
    assert error["extensions"] == {"code": "FORBIDDEN", "field": "Toy.secret", "scope": "toys:secrets"}


async def test_a_narrower_type_in_a_fragment_needs_its_own_scopes(http):
    assert (await http.post("{ named { name } }")).json()["data"] == {"named": {"name": "car"}}
    assert (await http.post("{ named { ... on Toy { weight } } }")).status_code == 401
    assert (await http.post("{ named { ... { ... on Toy @include(if: false) { weight } } } }")).status_code == 401


async def test_anyone_may_introspect(http):
    answer = await http.post(get_introspection_query(True, True, True, True, True))
    assert len(answer.json()["data"]["__schema"]["types"]) > 20


async def test_bad_credentials_are_named(http):
    answer = await http.post("{ hello }", key="nobody")
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (401, "No such key.")
    for headers in [
        {"authorization": "Basic abc"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer x", "x_orderwire_key": "x"},
        {"authorization": "Bearer " + "x" * 9000},
    ]:
        assert (await http.raw(b'{"query":"{hello}"}', **headers)).status_code == 401, headers


async def test_faults_are_masked_and_logged_once(http):
    with capture_logs() as logged:
        answer = await http.post("{ toy { broken } }", key="reader")
    error = answer.json()["errors"][0]

    assert answer.status_code == 200
    assert error["extensions"]["code"] == "INTERNAL"
    assert "hunter2" not in answer.text
    assert [(each["reference"], str(each["exc_info"])) for each in logged if each["log_level"] == "error"] == [
        (error["extensions"]["reference"], "the password is hunter2")
    ]


async def test_refusals_outside_mutations_are_named(http):
    assert codes(await http.post("{ toy { missing } }", key="reader")) == ["NOT_FOUND"]
    assert codes(await http.post("{ toy { refused } }", key="reader")) == ["FORBIDDEN"]


MAKE = """mutation($input: ToyInput!, $key: String!, $dry: Boolean, $version: Int) {
  toyMake(input: $input, idempotencyKey: $key, dryRun: $dry, expectedVersion: $version) {
    toy { name }
    userErrors { __typename code message path ... on OutOfToys { left } ... on VersionConflict { expected actual } }
  }
}"""


async def make(http, key="k", dry=None, version=None, **input_):
    variables = {"input": {"name": "car"} | input_, "key": key, "dry": dry, "version": version}
    answer = await http.post(MAKE, key="maker", variables=variables)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["toyMake"]


async def test_a_mutation_gets_its_command_arguments(http):
    assert await make(http) == {"toy": {"name": "car k False"}, "userErrors": []}
    assert (await make(http, dry=True))["toy"] == {"name": "car k True"}


async def test_refusals_arrive_typed_with_their_facts(http):
    assert await make(http, units=4) == {
        "toy": None,
        "userErrors": [
            {
                "__typename": "OutOfToys",
                "code": "OUT_OF_TOYS",
                "message": "Only 3 left.",
                "path": ["input", "units"],
                "left": 3,
            }
        ],
    }
    conflict = (await make(http, version=9))["userErrors"][0]
    assert (conflict["__typename"], conflict["expected"], conflict["actual"]) == ("VersionConflict", 9, 10)
    finer = await make(http, price={"amount": "1.005", "currencyCode": "EUR"})
    assert finer["userErrors"][0]["path"] == ["input", "price", "amount"]


async def test_idempotency_keys_are_printable(http):
    for key in ["", "x" * 256, "a\nb", "a\x7f"]:
        assert (await make(http, key=key))["userErrors"][0]["path"] == ["idempotencyKey"], key


async def test_a_dry_run_stands_alone(http):
    one = 'toyMake(input: {name: "x"}, idempotencyKey: "k", dryRun: $dry) { toy { name } }'
    query = f"mutation($dry: Boolean = true) {{ a: {one} ...F }} fragment F on Mutation {{ b: {one} }}"

    assert codes(await http.post(query, key="maker")) == ["DRY_RUN_NOT_ALONE"]
    assert (await http.post(query, key="maker", variables={"dry": False})).json()["data"]["b"]


async def test_too_much_is_refused_by_name(http):
    deep = "{ toy " + "{ parts " * 12 + "{ name }" + "}" * 13
    wide = "{ toy { " + " ".join(f"a{n}: weight" for n in range(31)) + "} }"
    many = (
        "mutation { "
        + " ".join(
            f'm{n}: toyMake(input: {{name: "x"}}, idempotencyKey: "k{n}") {{ toy {{ name }} }}' for n in range(6)
        )
        + "}"
    )
    roots = "{ " + " ".join("hello" for _ in range(21)) + "}"
    dear = "{ toys(first: 100) { nodes { parts { parts { parts { name } } } } } }"
    for query in [deep, wide, many, roots, dear]:
        assert codes(await http.post(query, key="maker")) == ["QUERY_TOO_COMPLEX"], query[:80]


async def test_cost_follows_the_page_sizes_sent(http):
    query = "query($n: Int) { toys(first: $n) { edges { node { parts { name } } } } }"
    assert (await http.post(query, key="maker", variables={"n": 3})).json()["extensions"]["cost"]["requested"] == 33
    assert (await http.post(query, key="maker", variables={"n": 100})).json()["extensions"]["cost"]["requested"] == 1100
    assert codes(await http.post(query, key="shop", variables={"n": 100})) == ["QUERY_TOO_COMPLEX"]


async def test_documents_by_their_hash(http, shop):
    text = "query Trusted { hello }"
    shop.graph.documents.trust([text])
    sha256 = shop.graph.documents.by_text(text).sha256
    for body in [
        {"documentId": f"sha256:{sha256}"},
        {"documentId": sha256},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256}}},
    ]:
        assert (await http.post(**body)).json()["data"] == {"hello": "hello world"}

    unknown = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
    assert codes(await http.post(**unknown)) == ["PERSISTED_QUERY_NOT_FOUND"]
    assert (await http.post("{ hello }", **unknown)).status_code == 400


async def test_slow_operations_are_given_up():
    async with serving(timeout=0.1) as shop, httpx2.AsyncClient() as client:
        answer = await client.post(shop.url, json={"query": "{ slow(seconds: 5) }"})
        assert (answer.status_code, codes(answer)) == (504, ["TIMEOUT"])


async def test_origins_belong_to_channels(http, shop):
    shop.origins = {"https://shop.example": CHANNEL, "https://other.example": UUID(int=8)}
    body = b'{"query":"{hello}"}'

    answer = await http.raw(body, origin="https://shop.example", authorization="Bearer shop")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert (await http.raw(body, origin="https://other.example", authorization="Bearer shop")).status_code == 403
    answer = await http.raw(body, origin="https://evil.example", authorization="Bearer reader")
    assert "access-control-allow-origin" not in answer.headers

    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    answer = await http.client.options(shop.url, headers=asked)
    assert answer.status_code == 204
    allowed = set(answer.headers["access-control-allow-headers"].split(", "))
    assert allowed >= {"content-type", "authorization", "x-orderwire-key", "last-event-id"}
    assert allowed >= {"x-request-id", "traceparent", "tracestate"}
    answer = await http.client.options(shop.url, headers=asked | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_client_that_leaves_halfway_disturbs_nobody(http, shop):
    for sent in [
        b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\ncontent-type: application/json\r\n\r\n{",
        b"\xff\r\n\r\n",
        b"GET /graphql?query=%00 HTTP/1.1\r\nhost: \xff\r\norigin: \xff\r\n\r\n",
    ]:
        _, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        writer.write(sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await http.post("{ hello }")).status_code == 200


@pytest.mark.needs("node")
async def test_all_audits_of_graphql_http_pass(shop):
    await node_modules()
    process = await asyncio.create_subprocess_exec("node", "audit.mjs", shop.url, cwd=JS, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    audits = json.loads(output)

    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len(audits) >= 61
