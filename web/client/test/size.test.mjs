// The size of the package in an app.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sizes } from "../size.mjs";

/** The most that each part may have, in KiB, minified and gzipped. It is raised on purpose only. */
const CEILINGS = {
  client: 18,
  "client, React hooks": 19.5,
  "client, React hooks, components": 29,
};

describe("the size of the package", () => {
  it("is below its ceiling for the client, the hooks and the components", async () => {
    const measured = await sizes();
    assert.deepEqual(
      measured.map(({ part }) => part),
      Object.keys(CEILINGS),
    );
    for (const { part, minified, gzipped } of measured) {
      console.log(`${part}: ${minified} bytes minified, ${gzipped} bytes gzipped`);
      assert.ok(gzipped <= CEILINGS[part] * 1024, `${part} has ${(gzipped / 1024).toFixed(1)} KiB`);
    }
  });
});
