// Follows all orders with a client that people use, for as long as it is let; prints one JSON object a line.
// usage: node orders.mjs CLIENT URL KEY
// CLIENT: graphql-ws, graphql-sse, urql-ws or urql-sse; with +id the position goes into Last-Event-ID, not into `after`
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient as createEventsClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import { onEnd, pipe, subscribe } from 'wonka';
import WebSocket from 'ws';

const [client, url, key] = process.argv.slice(2);
const [kind, option] = client.split('+');
const byHeader = option === 'id';

const query = `
  subscription Follow($after: Cursor) {
    orderEvents(after: $after) {
      __typename
      ... on OrderSnapshot { cursor count }
      ... on OrderChange { cursor orderId version type order { version } }
      ... on Reset { cursor reason }
    }
  }
`;
const variables = {};
let cursor;

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
process.stdin.on('end', () => process.exit()).resume(); // ends with the test, however that ends

function take({ data, errors, error }) {
  if (errors || error?.graphQLErrors?.length) tell({ problem: JSON.stringify(errors ?? error.graphQLErrors) });
  const item = data?.orderEvents;
  // urql shows its last result once more when a stream ends.
  if (!item || (kind.startsWith('urql') && item.cursor === cursor)) return;
  cursor = item.cursor;
  // The one line that an application adds: whoever connects again asks for what follows.
  if (!byHeader) variables.after = cursor;
  tell(item);
}

const headers = () => ({
  authorization: `Bearer ${key}`,
  ...(byHeader && cursor && { 'last-event-id': cursor }),
});
const countedFetch = (...request) => {
  tell({ connection: 'events' });
  return fetch(...request);
};
const wait = () => new Promise((go) => setTimeout(go, 20));
const patience = { retryAttempts: 1000, retryWait: wait, retry: wait }; // one name for sockets, the other for events
const problem = (found) => tell({ problem: String(found?.message ?? found?.reason ?? JSON.stringify(found)) });
const sink = { next: take, error: problem, complete: () => tell({ problem: 'completed' }) };

function socketClient() {
  return createSocketClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: headers,
    webSocketImpl: WebSocket,
    shouldRetry: () => true,
    on: { connected: () => tell({ connection: 'socket' }) },
    ...patience,
  });
}

// urql leaves it to the application to ask again when a stream of events is cut.
function listenWith(urql) {
  pipe(
    urql.subscription(query, { ...variables }),
    onEnd(() => wait().then(() => listenWith(urql))),
    subscribe(take),
  );
}

const starts = {
  'graphql-ws': () => socketClient().subscribe({ query, variables }, sink),
  'graphql-sse': () =>
    createEventsClient({ url, headers, fetchFn: countedFetch, ...patience }).subscribe({ query, variables }, sink),
  'urql-ws': () => {
    const socket = socketClient();
    const forwardSubscription = () => ({
      // The same variables each time, so that a reconnection sends the cursor of the moment.
      subscribe: (to) => ({ unsubscribe: socket.subscribe({ query, variables }, to) }),
    });
    listenWith(new Client({ url, preferGetMethod: false, exchanges: [subscriptionExchange({ forwardSubscription })] }));
  },
  'urql-sse': () =>
    listenWith(
      new Client({
        url,
        preferGetMethod: false,
        exchanges: [fetchExchange],
        fetchSubscriptions: true,
        fetchOptions: () => ({ headers: headers() }),
        fetch: countedFetch,
      }),
    ),
};
starts[kind]();
