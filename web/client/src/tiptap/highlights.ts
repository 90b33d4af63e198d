import { isChangeOrigin } from "@tiptap/extension-collaboration";
import type { Node } from "@tiptap/pm/model";
import { PluginKey, type EditorState, type Transaction } from "@tiptap/pm/state";
import { Mapping, StepMap } from "@tiptap/pm/transform";
import { Decoration, DecorationSet } from "@tiptap/pm/view";
import type { Range } from "./positions.js";

/** The text of a thread in the editor's document. */
export interface Highlight extends Range {
  /** The id of the thread. */
  readonly thread: string;
}

/** What the highlights of an editor show. An object never changes. */
export interface HighlightState {
  /** The threads that are drawn, and the one that is being begun. */
  readonly drawn: DecorationSet;
  /** The text of every thread that has one, resolved ones included: by the id of the thread. */
  readonly places: ReadonlyMap<string, Range>;
  /** The ids of the threads that have a text, in the order of the document. The same object until anchors are resolved again. */
  readonly order: readonly string[];
  /** The threads whose text is gone. The same object until anchors are resolved again. */
  readonly orphaned: ReadonlySet<string>;
  /** The thread that stands out. */
  readonly active: string | undefined;
  /** The text of the thread that is being begun. */
  readonly draft: Range | undefined;
}

/** What a transaction changes in the highlights. */
export type HighlightChange = Partial<Omit<HighlightState, "drawn" | "order">> & {
  /** The threads that are drawn though they are not active: the open ones. */
  readonly open?: ReadonlySet<string>;
};

interface PluginState extends HighlightState {
  readonly open: ReadonlySet<string>;
  /** Whether the last edit came from the shared document, not from this editor. */
  readonly isRemote: boolean;
}

export const highlightKey = new PluginKey<PluginState>("realtimeComments");

export const INITIAL: PluginState = {
  drawn: DecorationSet.empty,
  places: new Map(),
  order: [],
  orphaned: new Set(),
  open: new Set(),
  active: undefined,
  draft: undefined,
  isRemote: false,
};

/** The highlights of an editor with the extension `Comments`. */
export function highlightsOf(state: EditorState): HighlightState {
  return highlightKey.getState(state) ?? INITIAL;
}

/** The highlights after a transaction: they follow its edits until their anchors are resolved again. */
export function applyTransaction(transaction: Transaction, before: PluginState): PluginState {
  const change = transaction.getMeta(highlightKey) as HighlightChange | undefined;
  const mapped = transaction.docChanged ? mapState(transaction, before) : before;
  if (!change) return mapped;
  const order = change.places ? orderOf(change.places) : mapped.order;
  // A thread that is resolved meanwhile is done with.
  const isDone =
    mapped.active !== undefined && mapped.open.has(mapped.active) && !(change.open ?? mapped.open).has(mapped.active);
  const next = { ...mapped, ...(isDone && { active: undefined }), ...change, order };
  return { ...next, drawn: draw(next, transaction.doc) };
}

/** Whether what was resolved is what an editor shows already: then nothing has to be drawn, compared or laid out again. */
export function isShown(
  state: EditorState,
  { places, orphaned, open }: Required<Pick<HighlightChange, "places" | "orphaned" | "open">>,
): boolean {
  const now = highlightKey.getState(state);
  return now !== undefined && hasRanges(now.places, places) && hasAll(now.orphaned, orphaned) && hasAll(now.open, open);
}

function hasRanges(now: ReadonlyMap<string, Range>, then: ReadonlyMap<string, Range>): boolean {
  const isEqual = ([thread, { from, to }]: [string, Range]) => {
    const range = now.get(thread);
    return range?.from === from && range.to === to;
  };
  return now.size === then.size && [...then].every(isEqual);
}

function hasAll(now: ReadonlySet<string>, then: ReadonlySet<string>): boolean {
  return now.size === then.size && [...then].every((thread) => now.has(thread));
}

function orderOf(places: ReadonlyMap<string, Range>): string[] {
  return [...places].sort(([, a], [, b]) => a.from - b.from || a.to - b.to).map(([thread]) => thread);
}

function mapState(transaction: Transaction, before: PluginState): PluginState {
  const mapping = mappingOf(transaction);
  const places = new Map<string, Range>();
  for (const [thread, range] of before.places) {
    const mapped = mapRange(mapping, range);
    if (mapped) places.set(thread, mapped);
  }
  const draft = before.draft && mapRange(mapping, before.draft);
  const isRemote = isChangeOrigin(transaction);
  return { ...before, isRemote, places, draft, drawn: before.drawn.map(mapping, transaction.doc) };
}

function mapRange(mapping: Mapping, { from, to }: Range): Range | undefined {
  const mapped = { from: mapping.map(from, 1), to: mapping.map(to, -1) };
  return mapped.from < mapped.to ? mapped : undefined;
}

/**
 * How the positions move. The binding replaces the whole document when others have edited it, so only what differs counts: without
 * that, every edit of others would remove every highlight.
 */
function mappingOf({ mapping, before, doc }: Transaction): Mapping {
  const isWhole = mapping.maps.some((map) => {
    let found = false;
    map.forEach((from, to) => (found ||= from === 0 && to >= before.content.size));
    return found;
  });
  if (!isWhole) return mapping;
  const start = before.content.findDiffStart(doc.content);
  const end = before.content.findDiffEnd(doc.content);
  if (start === null || !end) return new Mapping();
  // The same characters before and after the change make both searches overlap.
  const overlap = Math.max(0, start - Math.min(end.a, end.b));
  return new Mapping([new StepMap([start, end.a + overlap - start, end.b + overlap - start])]);
}

function draw({ places, open, active, draft }: PluginState, doc: Node): DecorationSet {
  const drawn: Decoration[] = [];
  for (const [thread, { from, to }] of places) {
    const isActive = thread === active;
    if (!isActive && !open.has(thread)) continue;
    const attributes = { class: "realtime-highlight", "data-thread": thread, ...(isActive && { "data-active": "" }) };
    drawn.push(Decoration.inline(from, to, attributes));
  }
  if (draft) drawn.push(Decoration.inline(draft.from, draft.to, { class: "realtime-highlight", "data-active": "" }));
  return DecorationSet.create(doc, drawn);
}
