import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { useState, useSyncExternalStore } from 'react';

import { fetcherFor } from './fetcher.js';
import { readKey, writeKey } from './key.js';
import { Subscriptions } from './subscriptions.js';
import { TABS } from './tabs.js';

const endpoint = new URL('graphql', location.href);
const subscriptions = new Subscriptions(endpoint);
const fetcher = fetcherFor(endpoint, subscriptions);
const plugins = [HISTORY_PLUGIN];

export function Explorer() {
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      defaultTabs={TABS}
      defaultEditorToolsVisibility="variables"
      defaultQuery=""
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
    >
      <GraphiQL.Logo>
        <LiveState />
        <KeyField />
        <strong className="orderwire-name">Orderwire</strong>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}

/** Where the API key is pasted. It stays in this browser tab and goes nowhere but to this API. */
function KeyField() {
  const [key, setKey] = useState(readKey);
  const change = (event) => {
    setKey(event.target.value);
    writeKey(event.target.value);
  };
  return (
    <form className="orderwire-key" autoComplete="off" onSubmit={(event) => event.preventDefault()}>
      <label htmlFor="orderwire-key">API key</label>
      <input
        id="orderwire-key"
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder="ow_dev_…"
        title="An API key or a customer's token. It is kept for this browser tab only, and forgotten with it."
        value={key}
        onChange={change}
      />
    </form>
  );
}

/** Whether subscriptions are connected, and how much they have brought. */
function LiveState() {
  const { state, received } = useSyncExternalStore(subscriptions.watch, subscriptions.status);
  if (state === 'idle') return null;
  return (
    <output className={`orderwire-live orderwire-${state}`}>
      {state} · {received} received
    </output>
  );
}
