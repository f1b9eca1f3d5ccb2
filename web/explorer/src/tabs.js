import availability from './tabs/availability.graphql?raw';
import orders from './tabs/orders.graphql?raw';
import viewer from './tabs/viewer.graphql?raw';

/** What a newcomer finds: who am I, what can be promised, and what is going on. */
export const TABS = [
  { query: viewer, variables: '{}' },
  { query: availability, variables: JSON.stringify({ skus: ['TEAPOT', 'MUG-BLUE'], channel: 'WEB' }, null, 2) },
  { query: orders, variables: JSON.stringify({ after: null }, null, 2) },
];
