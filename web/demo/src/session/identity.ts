import { randomName } from "./names";
import { defaultPerson, isDefaultPerson, personByName, rememberPerson, windowPerson } from "./people";

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

/** Whether users of that role may write, and create documents. */
export function mayWrite(role: Role): boolean {
  return role === "editor" || role === "admin";
}

/**
 * The identity of this window, with what the address presets: `?name=Ben&role=viewer&team=x&ttl=20`.
 *
 * A browser has one person, who is the same in every window and after a restart. A name in the address is another person of this
 * browser, who is the same as well whenever that name is used again.
 */
export function loadIdentity(): Identity {
  const address = new URL(location.href);
  const known = stored(address.searchParams.get("name")?.trim() ?? "");
  const identity = preset(address.searchParams, known ?? newIdentity());
  // The team of a link to a document is part of the link. Whoever is in no team yet enters it; others are told (OtherTeam.tsx).
  const linked = address.searchParams.get("team")?.trim() ?? "";
  const entered = known === undefined && linked !== "" ? { ...identity, team: linked } : identity;
  saveIdentity(entered);
  if (address.href !== location.href) history.replaceState(history.state, "", address);
  return entered;
}

/** Remembers the identity for this window and for this browser. */
export function saveIdentity(identity: Identity): void {
  rememberPerson(identity, { isDefault: isUnnamed || isDefaultPerson(identity) });
}

/** Whether the address of this window named nobody, so that its person is that of the browser. */
let isUnnamed = false;

function stored(name: string): Identity | undefined {
  const ofWindow = windowPerson();
  if (name !== "") return ofWindow?.name === name ? ofWindow : personByName(name);
  isUnnamed = ofWindow === undefined;
  return ofWindow ?? defaultPerson();
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

/** Whether a value is the name of a role. */
export function isRole(value: unknown): value is Role {
  return typeof value === "string" && Object.hasOwn(ROLES, value);
}

/** Whether a value is an identity, for those that were stored. */
export function isIdentity(value: unknown): value is Identity {
  if (typeof value !== "object" || value === null) return false;
  const { id, name, role, team, ttlSeconds } = value as Record<string, unknown>;
  const areTexts = [id, name, team].every((text) => typeof text === "string" && text !== "");
  return areTexts && isRole(role) && (ttlSeconds === undefined || typeof ttlSeconds === "number");
}
