// The measured part of the schema by Mercurius with its JIT, over node-postgres: one prepared statement a request.
import { readFileSync } from "node:fs";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const statement = (name) => {
  const text = read(`sql/${name}.sql`);
  return (values) => pool.query({ name, text, values }).then((result) => result.rows);
};

const pool = new pg.Pool({ max: 8 }); // where the database is, the environment says
const rowsOf = {
  availability: statement("availability"),
  stockLevels: statement("stock_levels"),
  order: statement("order"),
};

function grouped(skus, rows) {
  const found = new Map(
    skus.map((sku) => [sku, { sku, status: "OUT_OF_STOCK", available: 0, backorderable: 0, byLocation: [] }]),
  );
  for (const row of rows) {
    const answer = found.get(row.sku);
    answer.status = "AVAILABLE";
    answer.available += row.units;
    answer.byLocation.push(row);
  }
  return [...found.values()];
}

const levelOf = (row) => ({ ...row, sku: { code: row.sku }, location: { code: row.location } });

const Query = {
  availability: async (_, { skus, channel }) => grouped(skus, await rowsOf.availability([skus, channel])),
  stockLevels: async (_, { skus, first }) => ({ nodes: (await rowsOf.stockLevels([skus, first])).map(levelOf) }),
  order: async (_, { number }) => (await rowsOf.order([number]))[0] ?? null,
};

const app = Fastify({ logger: false });
app.register(mercurius, { schema: read("shop.graphql"), resolvers: { Query }, jit: 1, graphiql: false });
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
