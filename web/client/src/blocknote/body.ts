/** What a comment of BlockNote says, as the server keeps it. */
export interface CommentText {
  /** Plain text, with a line for each block. */
  readonly body: string;
  /** The ids of the people who are mentioned; undefined if the comment has no mentions of its own. */
  readonly mentions: string[] | undefined;
}

/** A paragraph of BlockNote, as its editors take it. */
export interface Paragraph {
  readonly type: "paragraph";
  readonly content: { readonly type: "text"; readonly text: string; readonly styles: Record<string, never> }[];
}

/**
 * The text of a comment that was written with an editor of BlockNote. Each block is a line, also a nested one; formats of the text are
 * lost. The address of a link follows its text in parentheses, unless the text is the address. Inline content of the type `mention` with
 * the properties `id` and `name` becomes `@name`, and its `id` is one of the mentions.
 *
 * @param blocks the document of the editor; everything that is not understood is ignored.
 */
export function textOfBlocks(blocks: unknown): CommentText {
  const mentions = new Set<string>();
  const body = linesOf(blocks, mentions).join("\n").trimEnd();
  return { body, mentions: mentions.size > 0 ? [...mentions] : undefined };
}

/** The text of a comment as the document of an editor of BlockNote: each line is a paragraph. */
export function blocksOfText(text: string): Paragraph[] {
  return text.split("\n").map((line) => ({
    type: "paragraph",
    content: line === "" ? [] : [{ type: "text", text: line, styles: {} }],
  }));
}

function linesOf(blocks: unknown, mentions: Set<string>): string[] {
  return listOf(blocks).flatMap((block) => {
    const { content, children } = fieldsOf(block);
    return [inlineText(content, mentions), ...linesOf(children, mentions)];
  });
}

function inlineText(content: unknown, mentions: Set<string>): string {
  if (typeof content === "string") return content;
  return listOf(content)
    .map((inline) => {
      const { type, text, href, content: inner, props } = fieldsOf(inline);
      if (type === "mention") return mentionText(fieldsOf(props), mentions);
      if (type !== "link") return typeof text === "string" ? text : inlineText(inner, mentions);
      const label = inlineText(inner, mentions);
      return typeof href !== "string" || href === label ? label : `${label} (${href})`;
    })
    .join("");
}

function mentionText({ id, name }: Record<string, unknown>, mentions: Set<string>): string {
  if (typeof id === "string" && id !== "") mentions.add(id);
  const label = typeof name === "string" && name !== "" ? name : id;
  return typeof label === "string" ? `@${label}` : "";
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
