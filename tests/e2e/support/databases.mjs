// The databases that the server can stand on. What holds on one holds on the other, so suites run on both:
//
//     for (const database of databases) describe(`… on ${database.name}`, () => { … });

import { join } from "node:path";
import { temporaryFolder } from "./process.mjs";
import { Postgres } from "./postgres.mjs";

/** SQLite: a file in a folder of its own. */
const sqlite = {
  name: "SQLite",
  canBeStopped: false,
  async start() {},
  async stop() {},
  /** A new, empty database; its URL. */
  create() {
    return `sqlite://${join(temporaryFolder(), "realtime.db")}`;
  },
};

/** Postgres: one cluster for a test file, a new database for each server. */
const postgres = {
  name: "Postgres",
  canBeStopped: true,
  cluster: undefined,
  async start() {
    this.cluster = await Postgres.create();
  },
  async stop() {
    await this.cluster.stop("fast");
  },
  /** A new, empty database; its URL. */
  create() {
    return this.cluster.createDatabase();
  },
};

const only = process.env.TEST_DATABASE?.toLowerCase();

/** Both, or the one that TEST_DATABASE names. */
export const databases = [sqlite, postgres].filter(({ name }) => !only || name.toLowerCase() === only);

export { postgres, sqlite };
