// Tables of the workflow by configuration: another one, and files that are wrong. docs/workflow.md describes the file.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { temporaryFolder } from "@realtime-server/harness/process";
import { run } from "@realtime-server/harness/server";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { SECRET } from "@realtime-server/harness/tokens";
import { Caller } from "./support/http.mjs";

for (const database of databases) {
  describe(`another workflow on ${database.name}`, () => {
    const start = suiteDatabase(database);
    const step = (from, to, ...rights) => ({ from, to, rights });
    const write = (content) => {
      const file = join(temporaryFolder(), "workflow.json");
      writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
      return file;
    };
    const SMALL = {
      initial: "open",
      statuses: ["open", "waiting", "done"],
      steps: [step("open", "waiting", "comment"), step("waiting", "done", "review", "publish")],
    };

    it("the steps are those of the file; a status that another file does not have is left by one step", async () => {
      const server = await start({ WORKFLOW_FILE: write(SMALL) });
      const caller = (role) => new Caller(server, { user: role, role });
      for (const room of ["moved", "unmoved"]) await caller("editor").ok("PUT", `documents/${room}`);
      const move = (role, to, room = "moved") => caller(role).ok("POST", `documents/${room}/workflow`, { to });
      const get = async (role, room = "moved") => (await caller(role).ok("GET", `documents/${room}/workflow`)).workflow;
      assert.deepEqual((await move("commenter", "waiting")).workflow.allowed, []);
      assert.deepEqual((await get("service")).allowed, ["done"]);
      assert.deepEqual((await move("reviewer", "done")).workflow.allowed, [], "nothing leaves the last status");
      const stuck = await caller("admin").refusal("POST", "documents/moved/workflow", { to: "open" });
      assert.deepEqual([stuck.code, stuck.allowed], ["conflict", []], "nobody skips the table");

      await server.stop();
      await server.launch({ WORKFLOW_FILE: "" });
      assert.deepEqual([(await get("admin")).status, (await get("admin", "unmoved")).status], ["done", "draft"]);
      const { documents } = await caller("viewer").ok("GET", "documents?status=done");
      assert.deepEqual([documents.length, documents[0].status], [1, "done"]);
      assert.deepEqual((await get("editor")).allowed, []);
      assert.deepEqual((await get("admin")).allowed, ["draft"]);
      const denied = await caller("editor").refusal("POST", "documents/moved/workflow", { to: "draft" });
      assert.deepEqual([denied.status, denied.code], [403, "forbidden"]);
      const elsewhere = await caller("admin").refusal("POST", "documents/moved/workflow", { to: "in_review" });
      assert.deepEqual([elsewhere.code, elsewhere.allowed], ["conflict", ["draft"]]);
      assert.deepEqual((await move("admin", "draft")).workflow.allowed, ["in_review", "archived"]);
    });

    if (database.name !== "SQLite") return;
    // On SQLite alone: the file is read before the database is opened.
    const [FIRST] = SMALL.steps;
    for (const [defect, content, expected] of [
      ["is no JSON", "{", /a JSON object with initial, statuses and steps/],
      ["has no steps", { initial: "a", statuses: ["a"] }, /missing field `steps`/],
      ["has an unknown field", { ...SMALL, stages: [] }, /unknown field `stages`/],
      ["has no status", { ...SMALL, statuses: [] }, /1 to 50 statuses .*got 0/],
      ["has too many statuses", { ...SMALL, statuses: Array.from({ length: 51 }, (_, n) => `s${n}`) }, /got 51/],
      ["has a status without a name", { ...SMALL, statuses: ["open", ""] }, /1 to 64 bytes .*got ""/],
      ["has a status with a long name", { ...SMALL, statuses: ["open", "é".repeat(33)] }, /1 to 64 bytes/],
      ["has a status twice", { ...SMALL, statuses: ["open", "done", "open"] }, /every status once .*"open" twice/],
      ["has an unknown initial status", { ...SMALL, initial: "begun" }, /an initial status .*"begun"/],
      ["has too many steps", { ...SMALL, steps: Array.from({ length: 501 }, () => FIRST) }, /at most 500 .*got 501/],
      ["has a step to an unknown status", { ...SMALL, steps: [step("open", "shut", "edit")] }, /no status "shut"/],
      ["has a step that stays", { ...SMALL, steps: [step("open", "open", "edit")] }, /from one status to another/],
      ["has a step twice", { ...SMALL, steps: [...SMALL.steps, FIRST] }, /every step once .*"waiting" twice/],
      ["has a step without a right", { ...SMALL, steps: [step("open", "done")] }, /at least one right/],
      ["has an unknown right", { ...SMALL, steps: [step("open", "done", "own")] }, /view, .*publish.* with "own"/],
      ["has a status that no step reaches", { ...SMALL, steps: [FIRST] }, /reached .*"done"/],
    ]) {
      it(`a file that ${defect} ends the start with the exit code 78 and says so`, async () => {
        const env = { JWT_SECRET: SECRET, DATABASE_URL: "sqlite://realtime.db", WORKFLOW_FILE: write(content) };
        for (const parameters of [["check-config"], []]) {
          const { code, stdout, stderr } = await run(parameters, env);
          assert.equal(code, 78, stdout + stderr);
          assert.match(stderr, /^error: WORKFLOW_FILE: expected .* in ".*workflow\.json", got /);
          assert.match(stderr, expected);
        }
      });
    }

    it("a missing file ends the start, and check-config shows the file that is used", async () => {
      const env = { JWT_SECRET: SECRET, DATABASE_URL: "sqlite://realtime.db" };
      const missing = await run([], { ...env, WORKFLOW_FILE: "/no/such/workflow.json" });
      assert.equal(missing.code, 78);
      assert.match(missing.stderr, /WORKFLOW_FILE: expected the path of a readable file/);
      const file = write(SMALL);
      const { code, stdout } = await run(["check-config"], { ...env, WORKFLOW_FILE: file });
      assert.equal(code, 0);
      assert.ok(stdout.includes(`${file}, 3 statuses, 2 steps`), stdout);
    });
  });
}
