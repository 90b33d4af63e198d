let name = "";
let count = 0;

/** Names the tab after what it shows. */
export function setTitle(shown: string): void {
  name = shown;
  put();
}

/** Shows a number before the name of the tab; 0 shows none. */
export function setTitleCount(shown: number): void {
  count = shown;
  put();
}

function put(): void {
  document.title = `${count > 0 ? `(${count}) ` : ""}${name} · Realtime Server`;
}
