const ADJECTIVES = [
  "Amber",
  "Brave",
  "Calm",
  "Clever",
  "Cosy",
  "Gentle",
  "Golden",
  "Happy",
  "Keen",
  "Kind",
  "Lively",
  "Merry",
];
const ANIMALS = ["Badger", "Falcon", "Finch", "Fox", "Hare", "Heron", "Lynx", "Otter", "Owl", "Robin", "Seal", "Wren"];

/** A friendly name for a user who has not chosen one. */
export function randomName(): string {
  return `${pick(ADJECTIVES)} ${pick(ANIMALS)}`;
}

function pick(words: readonly string[]): string {
  return words[Math.floor(Math.random() * words.length)] ?? "Someone";
}
