import { createClient } from 'graphql-ws';

const WAIT_MS_MAX = 10_000;

/** Subscriptions over one WebSocket, which come back by themselves and go on after the last item received. */
export class Subscriptions {
  #url;
  #client;
  #authorization;
  #listeners = new Set();
  #status = { state: 'idle', received: 0 };
  #open = 0;

  constructor(endpoint) {
    this.#url = new URL(endpoint);
    this.#url.protocol = endpoint.protocol.replace('http', 'ws');
  }

  watch = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  status = () => this.#status;

  observable(payload, operation, authorization) {
    return {
      subscribe: (observer) => {
        const end = this.#begin(payload, operation, authorization, observer);
        return { unsubscribe: end };
      },
    };
  }

  #begin(payload, operation, authorization, observer) {
    const field = watched(operation);
    const ended = () => this.#tell({ state: --this.#open > 0 ? this.#status.state : 'idle' });
    if (this.#open++ === 0) this.#tell({ state: 'connecting', received: 0 });
    return this.#clientFor(authorization).subscribe(payload, {
      next: (result) => {
        const cursor = field && result.data?.[field.key]?.cursor;
        // The client sends this very payload again after a broken connection.
        if (cursor && field.variable) payload.variables = { ...payload.variables, [field.variable]: cursor };
        this.#tell({ received: this.#status.received + 1 });
        observer.next(result);
      },
      error: (problem) => {
        ended();
        observer.error(readable(problem));
      },
      complete: () => {
        ended();
        observer.complete();
      },
    });
  }

  /** A client for this credential: it is part of the connection, so another one needs another connection. */
  #clientFor(authorization) {
    if (!this.#client || authorization !== this.#authorization) {
      this.#authorization = authorization;
      this.#client = createClient({
        url: this.#url.href,
        connectionParams: authorization ? { authorization } : {},
        retryAttempts: Infinity,
        shouldRetry: () => true, // also where the server is not there for a moment
        retryWait: (retries) =>
          new Promise((go) => setTimeout(go, Math.min(WAIT_MS_MAX, 250 * 2 ** retries) * (0.5 + Math.random()))),
        on: {
          connected: () => this.#open && this.#tell({ state: 'connected' }),
          closed: () => this.#open && this.#tell({ state: 'reconnecting' }),
        },
      });
    }
    return this.#client;
  }

  #tell(change) {
    this.#status = { ...this.#status, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** The field that a subscription watches: its key in the result, and the variable that its `after` is read from. */
function watched(operation) {
  const field = operation.selectionSet.selections.find((selection) => selection.kind === 'Field');
  const after = field?.arguments?.find((argument) => argument.name.value === 'after')?.value;
  return field && { key: field.alias?.value ?? field.name.value, variable: after?.name?.value };
}

/** GraphiQL shows GraphQL's errors well, and would show nothing of a socket's close event. */
function readable(problem) {
  if (typeof problem?.code === 'number') return new Error(`Closed with ${problem.code}: ${problem.reason || 'no reason'}`);
  return problem;
}
