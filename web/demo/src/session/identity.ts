import { randomName } from "./names";

/** The roles that a user of this page can choose, and their labels. */
export const ROLES = {
  viewer: "Viewer: reads",
  commenter: "Commenter: reads",
  editor: "Editor: reads and writes",
  reviewer: "Reviewer: reads",
  admin: "Admin: reads, writes and manages",
} as const;

/** A role in the token. */
export type Role = keyof typeof ROLES;

/** The identity of the user in this window. */
export interface Identity {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Documents belong to a team: another team sees other documents. */
  readonly team: string;
  /** How long a token is valid, if the address has set that. */
  readonly ttlSeconds: number | undefined;
}

/** Session storage, so that a window keeps its identity across reloads, and another window gets another one. */
const STORAGE_KEY = "identity";

/** Whether users of that role may write, and create documents. */
export function mayWrite(role: Role): boolean {
  return role === "editor" || role === "admin";
}

/** The stored or a new identity, with what the address presets: `?name=Ben&role=viewer&team=x&ttl=20`. */
export function loadIdentity(): Identity {
  const address = new URL(location.href);
  const known = stored();
  const identity = preset(address.searchParams, known ?? newIdentity());
  // The team of a link to a document is part of the link. Whoever is in no team yet enters it; others are told (OtherTeam.tsx).
  const linked = address.searchParams.get("team")?.trim() ?? "";
  const entered = known === undefined && linked !== "" ? { ...identity, team: linked } : identity;
  saveIdentity(entered);
  if (address.href !== location.href) history.replaceState(history.state, "", address);
  return entered;
}

/** Remembers the identity for this window. */
export function saveIdentity(identity: Identity): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(identity));
  } catch {
    // Without storage the identity lasts until the next reload.
  }
}

function newIdentity(): Identity {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  const id = `u-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  return { id, name: randomName(), role: "editor", team: "demo", ttlSeconds: undefined };
}

/** Moves the presets from the address into the identity, so that a copied address does not give others the same identity. */
function preset(parameters: URLSearchParams, identity: Identity): Identity {
  const take = (name: string) => {
    const value = parameters.get(name)?.trim();
    parameters.delete(name);
    return value === "" ? undefined : value;
  };
  const team = parameters.has("document") ? undefined : take("team");
  const [name, role, ttl] = [take("name"), take("role"), Number(take("ttl"))];
  return {
    id: identity.id,
    name: name ?? identity.name,
    role: isRole(role) ? role : identity.role,
    team: team ?? identity.team,
    ttlSeconds: Number.isInteger(ttl) && ttl > 0 ? ttl : identity.ttlSeconds,
  };
}

function stored(): Identity | undefined {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "null");
    return isIdentity(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value is the name of a role. */
export function isRole(value: unknown): value is Role {
  return typeof value === "string" && Object.hasOwn(ROLES, value);
}

function isIdentity(value: unknown): value is Identity {
  if (typeof value !== "object" || value === null) return false;
  const { id, name, role, team, ttlSeconds } = value as Record<string, unknown>;
  const areTexts = [id, name, team].every((text) => typeof text === "string" && text !== "");
  return areTexts && isRole(role) && (ttlSeconds === undefined || typeof ttlSeconds === "number");
}
