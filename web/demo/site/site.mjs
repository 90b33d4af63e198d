// What the server shows beside the demo page: the packed client, the documentation, and the page for unknown addresses.
//
// `node site/site.mjs dist` adds these files to a built page:
//
//   client.tgz        the packed client; `npm install <server>/client.tgz` installs it
//   docs.html         the list of the documentation; the server serves it at /docs
//   docs/<name>.html  the pages of docs/, at /docs/<name>
//   404.html          the answer to browsers that ask for an unknown address
//   pages.css         the style of these pages

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageArchive } from "./archive.mjs";
import { escape, readDocumentation } from "./documentation.mjs";

const fileOf = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Writes the files into `folder`, which has the built page. The client has to be built before. */
export function writeSite(folder) {
  const docs = readDocumentation(fileOf("../../../docs/"));
  mkdirSync(join(folder, "docs"), { recursive: true });
  const write = (name, content) => writeFileSync(join(folder, name), content);
  write("client.tgz", packageArchive(fileOf("../../client/")));
  write("pages.css", ["../src/styles/tokens.css", "pages.css"].map((path) => readFileSync(fileOf(path))).join("\n"));
  write("404.html", notFoundPage());
  write("docs.html", listPage(docs));
  for (const { name, title, html } of docs) write(`docs/${name}.html`, documentPage(docs, name, title, html));
}

/** A page. `root` is the address of the server's root, relative to the page unless the page is shown at any address. */
function page(root, title, content) {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${escape(title)} · Realtime Server</title>
    <meta name="color-scheme" content="light dark" />
    <link rel="icon" href="${root}favicon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="${root}pages.css" />
    <script src="${root}theme.js"></script>
  </head>
  <body>
    <header>
      <a class="home" href="${root}"><img src="${root}favicon.svg" alt="" width="28" height="28" />Realtime Server</a>
      <a href="${root}docs">Documentation</a>
    </header>
${content}
  </body>
</html>
`;
}

function notFoundPage() {
  return page(
    "/",
    "Nothing here",
    `    <main class="nothing">
      <h1>There is nothing at this address</h1>
      <p>The link may be incomplete, or its target may have moved.</p>
      <p><a class="button" href="/">All documents</a></p>
    </main>`,
  );
}

function listPage(docs) {
  const items = docs.map(({ name, title }) => `        <li><a href="docs/${name}">${escape(title)}</a></li>`);
  return page(
    "./",
    "Documentation",
    `    <main>
      <h1>Documentation</h1>
      <ul class="contents">
${items.join("\n")}
      </ul>
      <h2>Install the client</h2>
      <p>In development this server has the package of its own version:</p>
      <pre tabindex="0"><code>npm install http://localhost:3001/client.tgz yjs</code></pre>
    </main>`,
  );
}

function documentPage(docs, name, title, html) {
  const links = docs.map((other) => {
    const current = other.name === name ? ' aria-current="page"' : "";
    return `        <li><a href="${other.name}"${current}>${escape(other.title)}</a></li>`;
  });
  return page(
    "../",
    title,
    `    <div class="document">
      <nav aria-label="Documentation">
        <ul>
${links.join("\n")}
        </ul>
      </nav>
      <main>
${html}</main>
    </div>`,
  );
}

const [, program, folder] = process.argv;
if (program === fileURLToPath(import.meta.url) && folder !== undefined) writeSite(folder);
