// PostGraphile over all tables, without functions, mutations and its explorer.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";

const server = postgraphile({
  extends: [PostGraphileAmberPreset],
  disablePlugins: ["PgProceduresPlugin"],
  pgServices: [makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["public"], poolConfig: { max: 8 } })],
  schema: { defaultBehavior: "-insert -update -delete" },
  grafserv: { graphqlPath: "/graphql", graphiql: false },
  grafast: { explain: false },
}).createServ(grafserv);

const http = createServer();
await server.addTo(http);
http.listen(Number(process.env.PORT), "127.0.0.1");
