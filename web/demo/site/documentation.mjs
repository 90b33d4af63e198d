// The pages of docs/ as HTML.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Marked } from "marked";

/**
 * Reads the Markdown files of a folder. Returns for each its name without the ending, its title, and its content as HTML, in which
 * links to other files of the folder lead to their pages. Links to other files of the repository are plain text, because the server
 * does not have those files.
 */
export function readDocumentation(folder) {
  const names = readdirSync(folder)
    .filter((file) => file.endsWith(".md"))
    .map((file) => file.slice(0, -".md".length))
    .sort();
  return names.map((name) => {
    const text = readFileSync(join(folder, `${name}.md`), "utf8");
    const [, title = name] = /^# (.*)$/m.exec(text) ?? [];
    return { name, title: plainText(title), html: renderer(names).parse(text) };
  });
}

/** Escapes a text for HTML. */
export function escape(text) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replaceAll(/[&<>"]/g, (character) => entities[character]);
}

function renderer(names) {
  const anchors = new Map();
  return new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        const anchor = unique(anchorOf(text), anchors);
        return `<h${depth} id="${anchor}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const content = this.parser.parseInline(tokens);
        const address = addressOf(href, names);
        return address === undefined ? content : `<a href="${escape(address)}">${content}</a>`;
      },
      // A wide table scrolls in its own box. The box has the focus, so that it can be scrolled by keyboard.
      table(token) {
        return `<div class="table" tabindex="0" role="region" aria-label="Table">${tableOf(this.parser, token)}</div>\n`;
      },
      code({ text }) {
        return `<pre tabindex="0"><code>${escape(text)}</code></pre>\n`;
      },
      // The documentation has comments, and no other HTML.
      html: () => "",
    },
  });
}

function tableOf(parser, { header, rows }) {
  const cells = (tag, row) => row.map(({ tokens }) => `<${tag}>${parser.parseInline(tokens)}</${tag}>`).join("");
  const body = rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("\n");
  return `<table>\n<thead><tr>${cells("th", header)}</tr></thead>\n<tbody>${body}</tbody>\n</table>`;
}

/** The address on this server of a link in the documentation; undefined if the server does not have its target. */
function addressOf(href, names) {
  if (href.startsWith("#") || /^https?:/.test(href)) return href;
  const [, name, anchor = ""] = /^([\w-]+)\.md(#.*)?$/.exec(href) ?? [];
  return names.includes(name) ? `${name}${anchor}` : undefined;
}

/** The anchor of a heading, by the rules of the sites that show these files in a repository. */
function anchorOf(heading) {
  return plainText(heading)
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-");
}

function unique(anchor, anchors) {
  const count = anchors.get(anchor) ?? 0;
  anchors.set(anchor, count + 1);
  return count === 0 ? anchor : `${anchor}-${count}`;
}

/** A heading without the marks of Markdown. */
function plainText(markdown) {
  return markdown.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "");
}
