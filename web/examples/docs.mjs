// Copies the examples into docs/client.md: each code block after `<!-- web/… -->` gets the content of that file.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const FILE = `${REPOSITORY}docs/client.md`;

const documentation = readFileSync(FILE, "utf8");
const filled = documentation.replaceAll(
  /^(<!-- (web\/\S+) -->\n+```\w*\n)[^]*?^```$/gm,
  (_, head, file) => `${head}${readFileSync(`${REPOSITORY}${file}`, "utf8")}\`\`\``,
);
if (filled !== documentation) writeFileSync(FILE, filled);
