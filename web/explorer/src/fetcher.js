import { Kind, parse } from 'graphql';

import { authorizationOf, readKey } from './key.js';

/** What GraphiQL calls to run an operation: HTTP for queries and mutations, a WebSocket for subscriptions. */
export function fetcherFor(endpoint, subscriptions) {
  return ({ query, variables, operationName }, options) => {
    const headers = headersOf(options?.headers);
    const operation = operationIn(query, operationName);
    const name = operation ? operation.name?.value : operationName;
    const payload = { query, variables: variables ?? {}, ...(name && { operationName: name }) };
    return operation?.operation === 'subscription'
      ? subscriptions.observable(payload, operation, headers.authorization)
      : post(endpoint, payload, headers);
  };
}

/** The header editor's headers in lower case; the key field fills in where they name no credential. */
function headersOf(given) {
  const headers = Object.fromEntries(
    Object.entries(given ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]),
  );
  const { 'x-orderwire-key': key, ...rest } = headers;
  const authorization = headers.authorization ?? authorizationOf(key ?? readKey());
  return authorization ? { ...rest, authorization } : rest;
}

/**
 * The operation asked for; undefined where there is none, which the API explains better.
 *
 * A document's only operation is meant whatever the name: just after a change of tabs it is still the other tab's.
 */
function operationIn(query, operationName) {
  try {
    const operations = parse(query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    return operations.length === 1 ? operations[0] : operations.find(({ name }) => name?.value === operationName);
  } catch {
    return undefined;
  }
}

async function post(endpoint, payload, headers) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...headers,
      'content-type': 'application/json',
    },
    body: JSON.stringify(payload),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${response.status} ${response.statusText}: ${text.slice(0, 500)}`);
  }
}
