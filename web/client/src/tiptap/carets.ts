import type { EditorView } from "@tiptap/pm/view";
import type { Awareness } from "y-protocols/awareness";
import type { Doc, Transaction } from "yjs";
import { readableOn, safeColor } from "../kit/contrast.js";
import { flagShifts, placeLabels, type Spot } from "./labels.js";

/** How long the name at a caret is shown after a move, in milliseconds. */
const LABEL_MS = 2_500;

/** After how many milliseconds without a move a caret is dimmed, and after how many only a thin line of it is left. */
const IDLE_MS = { short: 10_000, long: 60_000 };

/** The share of a selection's colour that is left while its person is idle. */
const IDLE_PRESENCE = { short: "0.6", long: "0.35" };

/** The field `user` of an awareness state. The states of others may contain any value. */
type UserFields = Record<string, unknown>;

interface Activity {
  /** The caret's place, to recognise moves. */
  cursor: string;
  /** When it was first seen, or moved last, in milliseconds since 1970. */
  activeAt: number;
  /** When its label was last opened by a move; -Infinity before. */
  openedAt: number;
}

/**
 * The carets of others in one editor. Each is a line with a small flag in the space above the text line. The flag opens into a label
 * with the name while its person writes and while a pointer is on it, unless the label would cover another label or the line that
 * the user of this window writes in. Carets of people who do not move fade.
 */
export class Carets {
  readonly #doc: Doc;
  readonly #awareness: Awareness;
  readonly #activities = new Map<number, Activity>();
  #view: EditorView | undefined;
  #hovered: HTMLElement | undefined;
  #followed: string | undefined;
  #frame: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(doc: Doc, awareness: Awareness) {
    this.#doc = doc;
    this.#awareness = awareness;
  }

  /** Draws the caret of a person: for the option `cursorBuilder` of `yCursorPlugin`. */
  readonly draw = (user: UserFields, client: number): HTMLElement => {
    const caret = document.createElement("span");
    caret.className = "realtime-caret";
    // Screen readers would read the name as a part of the sentence. `AvatarStack` lists the people.
    caret.ariaHidden = "true";
    caret.dataset.client = String(client);
    const flag = document.createElement("span");
    flag.className = "realtime-caret-flag";
    const label = document.createElement("span");
    label.className = "realtime-caret-label";
    caret.append(flag, label);
    describe(caret, user);
    flag.addEventListener("pointerenter", ({ pointerType }) => {
      if (pointerType === "touch") this.#open(client);
      else this.#hover(caret);
    });
    flag.addEventListener("pointerleave", () => this.#hover(undefined));
    this.#plan();
    return caret;
  };

  /** The attributes of a person's selection: for the option `selectionBuilder` of `yCursorPlugin`. */
  readonly select = (user: UserFields, client: number) => ({
    class: "realtime-selection",
    style: `--person: ${safeColor(user.color)}; --presence: var(--presence-${client}, 1)`,
  });

  /** Begins to watch the moves of others in an editor's view. The returned object is the plugin's view. */
  readonly watch = (view: EditorView) => {
    this.#view = view;
    for (const client of this.#awareness.getStates().keys()) this.#see(client);
    this.#awareness.on("change", this.#changed);
    this.#doc.on("afterTransaction", this.#edited);
    window.addEventListener("resize", this.#plan);
    this.#plan();
    return {
      update: this.#plan,
      destroy: () => {
        this.#view = undefined;
        this.#awareness.off("change", this.#changed);
        this.#doc.off("afterTransaction", this.#edited);
        window.removeEventListener("resize", this.#plan);
        if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
        this.#frame = undefined;
        clearTimeout(this.#timer);
      },
    };
  };

  /** Keeps the label of this person open; with undefined, of nobody. */
  follow(user: string | undefined): void {
    this.#followed = user;
    this.#plan();
  }

  /** The caret of a person; that of the window in which the person was active last, if there are several. */
  find(user: string): HTMLElement | undefined {
    const activeAt = (caret: HTMLElement) => this.#activities.get(clientOf(caret))?.activeAt ?? 0;
    return this.#all()
      .filter((caret) => this.#userOf(caret) === user)
      .sort((a, b) => activeAt(b) - activeAt(a))[0];
  }

  #all(): HTMLElement[] {
    return this.#view ? [...this.#view.dom.querySelectorAll<HTMLElement>(".realtime-caret")] : [];
  }

  #userOf(caret: HTMLElement): string {
    return textOf(userFields(this.#awareness.getStates().get(clientOf(caret))).id);
  }

  readonly #changed = ({ added, updated, removed }: { added: number[]; updated: number[]; removed: number[] }) => {
    for (const client of removed) {
      this.#activities.delete(client);
      this.#view?.dom.style.removeProperty(`--presence-${client}`);
    }
    for (const client of added) this.#see(client);
    for (const client of updated) {
      const activity = this.#activities.get(client);
      const cursor = cursorOf(this.#awareness, client);
      if (cursor !== activity?.cursor) this.#move(client);
    }
    // An editor draws a caret again only when it has moved in the tree.
    for (const caret of this.#all()) describe(caret, userFields(this.#awareness.getStates().get(clientOf(caret))));
    this.#plan();
  };

  /** Notes who has written. Within a text the caret of a person who writes keeps its place: it is before the same letter as before. */
  readonly #edited = ({ beforeState, afterState }: Transaction) => {
    for (const client of this.#awareness.getStates().keys()) {
      if ((beforeState.get(client) ?? 0) < (afterState.get(client) ?? 0)) this.#move(client);
    }
  };

  #move(client: number): void {
    if (client === this.#awareness.clientID) return;
    const now = Date.now();
    this.#activities.set(client, { cursor: cursorOf(this.#awareness, client), activeAt: now, openedAt: now });
    this.#plan();
  }

  /** Notes a caret that is there already, whose person does not need to be writing. */
  #see(client: number): void {
    const cursor = cursorOf(this.#awareness, client);
    this.#activities.set(client, { cursor, activeAt: Date.now(), openedAt: -Infinity });
  }

  #open(client: number): void {
    const activity = this.#activities.get(client);
    if (activity) activity.openedAt = Date.now();
    this.#plan();
  }

  #hover(caret: HTMLElement | undefined): void {
    this.#hovered = caret;
    this.#plan();
  }

  /** Draws the labels with the next frame: they are measured once for all changes until then. */
  readonly #plan = () => {
    if (!this.#view || this.#frame !== undefined) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      if (this.#view) this.#layOut(this.#view);
    });
  };

  #layOut(view: EditorView): void {
    clearTimeout(this.#timer);
    const carets = this.#all();
    if (carets.length === 0) return;
    const now = Date.now();
    const spots = carets.map((caret) => this.#measure(caret, now));
    const placed = placeLabels(spots, { text: view.dom.getBoundingClientRect(), own: ownLine(view) });
    const shifts = flagShifts(spots);
    carets.forEach((caret, index) => {
      const place = placed[index];
      caret.toggleAttribute("data-open", place !== undefined);
      caret.toggleAttribute("data-flipped", place?.side === "left");
      caret.style.setProperty("--level", String(place?.level ?? 0));
      caret.style.setProperty("--shift", `${shifts[index] ?? 0}px`);
      this.#fade(view, caret, now);
    });
    this.#wait(now);
  }

  #measure(caret: HTMLElement, now: number): Spot {
    const { left, top, bottom } = caret.getBoundingClientRect();
    const label = caret.querySelector<HTMLElement>(".realtime-caret-label");
    const { openedAt = -Infinity } = this.#activities.get(clientOf(caret)) ?? {};
    const isFollowed = this.#followed !== undefined && this.#userOf(caret) === this.#followed;
    const isMoving = now - openedAt < LABEL_MS;
    return {
      ...{ left, top, bottom },
      label: {
        bottom: top + (label ? label.offsetTop + label.offsetHeight : 0),
        ...{ width: label?.offsetWidth ?? 0, height: label?.offsetHeight ?? 0 },
      },
      wish: caret === this.#hovered ? "hovered" : isFollowed ? "followed" : isMoving ? "moving" : undefined,
      openedAt,
    };
  }

  #fade(view: EditorView, caret: HTMLElement, now: number): void {
    const client = clientOf(caret);
    const idleMs = now - (this.#activities.get(client)?.activeAt ?? now);
    const idle = idleMs >= IDLE_MS.long ? "long" : idleMs >= IDLE_MS.short ? "short" : undefined;
    if (idle) caret.dataset.idle = idle;
    else delete caret.dataset.idle;
    view.dom.style.setProperty(`--presence-${client}`, idle ? IDLE_PRESENCE[idle] : "1");
  }

  /** Draws again when the next label closes, or the next caret fades. */
  #wait(now: number): void {
    const deadlines = [...this.#activities.values()].flatMap(({ activeAt, openedAt }) => [
      openedAt + LABEL_MS,
      activeAt + IDLE_MS.short,
      activeAt + IDLE_MS.long,
    ]);
    const next = Math.min(...deadlines.filter((deadline) => deadline > now));
    if (next < Infinity) this.#timer = setTimeout(this.#plan, next - now);
  }
}

/** Writes the name and the colour of a person into that person's caret. */
function describe(caret: HTMLElement, user: UserFields): void {
  const color = safeColor(user.color);
  const name = textOf(user.name) === "" ? "Someone" : textOf(user.name);
  caret.style.setProperty("--person", color);
  caret.style.setProperty("--on-person", readableOn(color));
  const label = caret.querySelector(".realtime-caret-label");
  if (label && label.textContent !== name) label.textContent = name;
}

/** The line in which the user of this window writes, if the editor has the focus. */
function ownLine(view: EditorView): { top: number; bottom: number } | undefined {
  if (!view.hasFocus()) return undefined;
  const { top, bottom } = view.coordsAtPos(view.state.selection.head);
  return { top, bottom };
}

function clientOf(caret: HTMLElement): number {
  return Number(caret.dataset.client);
}

function cursorOf(awareness: Awareness, client: number): string {
  return JSON.stringify(awareness.getStates().get(client)?.cursor ?? null);
}

function userFields(state: Record<string, unknown> | undefined): UserFields {
  const user = state?.user;
  return typeof user === "object" && user !== null ? { ...user } : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
