// A program: one client of each kind, by the address in its argument, writes into one document and reads what all have written. It
// prints the number of those clients. Run it as a user runs clients, as with NODE_EXTRA_CA_CERTS, which Node reads at its start.

import { until } from "@realtime-server/harness/until";
import { KINDS, alike, closeAll, everyKind } from "./doors.mjs";

const kinds = await everyKind({ url: process.argv[2] }, "every door");
for (const { text } of Object.values(kinds)) text.insert(0, "x");
await until("all have what each wrote", () => alike(kinds) && kinds.native.content.length === KINDS.length);
closeAll();
console.log(KINDS.length);
