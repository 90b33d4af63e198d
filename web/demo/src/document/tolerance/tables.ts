import type { Node } from "@tiptap/pm/model";
import { EditorState } from "@tiptap/pm/state";
import { fixTables, TableMap } from "@tiptap/pm/tables";

/** A repair may show the next problem. No table of the tests needed more rounds than two. */
const ROUNDS_MAX = 5;

/**
 * The table with equally long rows. Rows of unequal length come from people who add rows and columns at the same time.
 *
 * Every window computes the same, so that the repair needs not be written to the document. If every window wrote it, each would
 * add cells that the others have added as well, and the rows would be unequal again.
 */
export function repairTable(table: Node): Node {
  const { schema } = table.type;
  let repaired = table;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { problems } = TableMap.get(repaired);
    if (!problems) break;
    if (problems.some(({ type }) => type === "zero_sized")) {
      repaired = withOneColumn(repaired);
      continue;
    }
    const doc = schema.topNodeType.create(null, repaired);
    const fixed = fixTables(EditorState.create({ doc }))?.doc.firstChild;
    if (fixed?.type !== table.type) break;
    repaired = fixed;
  }
  return repaired;
}

function withOneColumn(table: Node): Node {
  const { tableCell } = table.type.schema.nodes;
  const rows = table.children.map((row) => row.type.create(row.attrs, tableCell?.createAndFill()));
  return table.type.create(table.attrs, rows);
}

/** Which rows and cells were replaced by a repair: pairs of the old and the new node. */
export function replacedNodes(table: Node, repaired: Node): [Node, Node][] {
  const pairs: [Node, Node][] = [];
  table.forEach((row, _offset, at) => {
    const now = repaired.maybeChild(at);
    if (!now || now === row) return;
    pairs.push([row, now]);
    const cells = now.children;
    for (const cell of row.children) {
      // A repair changes the attributes of a cell, and never its content.
      const changed = cells.find(({ content }) => content === cell.content);
      if (changed && changed !== cell) pairs.push([cell, changed]);
    }
  });
  return pairs;
}
