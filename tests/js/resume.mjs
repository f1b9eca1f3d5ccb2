// Follows a subscription with a client that people use, through a broken connection, and prints the numbers it saw.
// usage: node resume.mjs CLIENT URL QUERY VARIABLES KEY
import { createClient as createSocketClient } from 'graphql-ws';
import { createClient as createEventsClient } from 'graphql-sse';
import { onEnd, pipe, subscribe } from 'wonka';
import WebSocket from 'ws';
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';

const [kind, url, query, variablesText, key] = process.argv.slice(2);
const variables = JSON.parse(variablesText);
const seen = [];
const authorization = key ? { authorization: `Bearer ${key}` } : {};

function take(data) {
  const item = Object.values(data)[0];
  // urql shows its last result once more when a stream of events ends.
  if (kind === 'urql-sse' && item.cursor === variables.after) return;
  seen.push(item.number);
  // The one line that makes a client resume: the next connection asks for what follows.
  variables.after = item.cursor;
  // Tells the test how far this client is, so that it may break the connection.
  console.error(item.number);
}

function end(error) {
  console.log(JSON.stringify({ seen, error: error ? String(error.message ?? JSON.stringify(error)) : null }));
  process.exit(error ? 1 : 0);
}

const socketUrl = url.replace(/^http/, 'ws');
const retry = { retryAttempts: 10, webSocketImpl: WebSocket, retryWait: () => new Promise((done) => setTimeout(done, 50)) };
const sink = {
  next: ({ data, errors }) => (errors ? end(errors[0]) : take(data)),
  error: end,
  complete: () => end(),
};

if (kind === 'graphql-ws') {
  const client = createSocketClient({ url: socketUrl, connectionParams: authorization, ...retry });
  client.subscribe({ query, variables }, sink);
} else if (kind === 'graphql-sse') {
  const client = createEventsClient({ url, headers: authorization, retryAttempts: 10, retry: retry.retryWait });
  client.subscribe({ query, variables }, sink);
} else {
  const options = { url, exchanges: [fetchExchange], fetchOptions: { headers: authorization }, preferGetMethod: false };
  if (kind === 'urql-ws') {
    const socket = createSocketClient({ url: socketUrl, connectionParams: authorization, ...retry });
    options.exchanges = [
      subscriptionExchange({
        forwardSubscription: (request) => ({
          // The same object each time, so that a reconnection sends the cursor of the moment.
          subscribe: (to) => ({ unsubscribe: socket.subscribe({ query: request.query, variables }, to) }),
        }),
      }),
    ];
  } else {
    options.fetchSubscriptions = true;
  }
  const client = new Client(options);
  const listen = () =>
    pipe(
      client.subscription(query, { ...variables }),
      // urql leaves it to the application to ask again when a stream of events is cut.
      onEnd(() => (seen.at(-1) === variables.to ? end() : setTimeout(listen, 50))),
      subscribe(({ data, error }) => {
        if (data) take(data);
        if (seen.at(-1) === variables.to) end();
        if (error && kind === 'urql-ws') end(error);
      }),
    );
  listen();
}
