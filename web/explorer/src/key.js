// The session's storage: gone with the tab, unknown to other tabs, and never part of an address.
const NAME = 'orderwire.key';

export const readKey = () => sessionStorage.getItem(NAME) ?? '';

export const writeKey = (key) =>
  key.trim() ? sessionStorage.setItem(NAME, key.trim()) : sessionStorage.removeItem(NAME);

/** The Authorization header's value for this key; undefined without one. People paste it with `Bearer` too. */
export function authorizationOf(key) {
  const bare = key.trim().replace(/^bearer\s+/i, '');
  return bare ? `Bearer ${bare}` : undefined;
}
