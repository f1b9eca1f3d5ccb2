// PostGraphile over all tables, without its explorer and without mutations.
import { createServer } from "node:http";

// Node.js 22 has it; that of the system may be older.
Promise.withResolvers ??= () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const { postgraphile } = await import("postgraphile");
const { PostGraphileAmberPreset } = await import("postgraphile/presets/amber");
const { makePgService } = await import("postgraphile/adaptors/pg");
const { grafserv } = await import("postgraphile/grafserv/node");

const server = postgraphile({
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["public"], poolConfig: { max: 8 } })],
  schema: { defaultBehavior: "-insert -update -delete" },
  grafserv: { graphqlPath: "/graphql", graphiql: false },
  grafast: { explain: false },
}).createServ(grafserv);

const http = createServer();
await server.addTo(http);
http.listen(Number(process.env.PORT), "127.0.0.1");
