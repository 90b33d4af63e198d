import { Fragment, type Attrs, type ContentMatch, type Node, type NodeType } from "@tiptap/pm/model";
import { inLine, standIn } from "./unknown";

/**
 * A node of that type with all of `children`, also if they do not fit its schema: what is missing is filled in, what is in a wrong
 * place is wrapped or taken out of its own parent. The result depends on the arguments alone, so all windows show the same.
 */
export function fit(type: NodeType, attrs: Attrs | null, children: readonly Node[]): Node {
  try {
    const fitted = type.inlineContent ? fitInline(type, children) : fitBlocks(type, children);
    return type.createChecked(attrs, fitted);
  } catch {
    return standIn(type.schema, type.name, attrs, children);
  }
}

function fitInline(type: NodeType, children: readonly Node[]): Node[] {
  return children.flatMap((child) => {
    if (child.type.name === "unknownBlock") return [inLine(type.schema, child)];
    if (!child.isInline) return fitInline(type, child.children);
    return [child.mark(type.allowedMarks(child.marks))];
  });
}

function fitBlocks(type: NodeType, children: readonly Node[]): Node[] {
  const placed: Node[] = [];
  let match = type.contentMatch;
  const put = (nodes: readonly Node[]) => {
    const after = match.matchFragment(Fragment.fromArray([...nodes]));
    if (!after) return false;
    match = after;
    placed.push(...nodes);
    return true;
  };
  const place = (child: Node) => {
    const where = placing(match, child);
    if (where && put(where)) return;
    if (child.isLeaf) throw new RangeError(`${child.type.name} has no place in ${type.name}`);
    // Its parent has been deleted meanwhile, for example a cell without a row: its content stays.
    child.children.forEach(place);
  };
  children.forEach(place);
  const rest = match.fillBefore(Fragment.empty, true);
  if (rest) put(rest.content);
  return placed;
}

/** The nodes by which a child can be placed: itself, after what has to be before it, or in the parents that it needs. */
function placing(match: ContentMatch, child: Node): Node[] | undefined {
  if (match.matchType(child.type)) return [child];
  const before = match.fillBefore(Fragment.from(child));
  if (before) return [...before.content, child];
  const parents = match.findWrapping(child.type);
  if (!parents || parents.length === 0) return undefined;
  return [parents.reduceRight((inner, parent) => parent.createChecked(null, inner), child)];
}
