// Copies the examples into docs/client.md and docs/stock-clients.md: each code block after `<!-- web/… -->` gets the content of that file.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

for (const name of ["client", "stock-clients"]) {
  const file = `${REPOSITORY}docs/${name}.md`;
  const documentation = readFileSync(file, "utf8");
  const filled = documentation.replaceAll(
    /^(<!-- (web\/\S+) -->\n+```\w*\n)[^]*?^```$/gm,
    (_, head, example) => `${head}${readFileSync(`${REPOSITORY}${example}`, "utf8")}\`\`\``,
  );
  if (filled !== documentation) writeFileSync(file, filled);
}
