const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/** A shortcut as this system writes it: `⌘⇧S`, `Ctrl+Shift+S`. */
export function shownShortcut(shortcut: string): string {
  if (!IS_MAC) return shortcut.replace("Mod", "Ctrl").replaceAll("-", "+");
  return shortcut.replace("Mod", "⌘").replace("Shift", "⇧").replace("Alt", "⌥").replaceAll("-", "");
}

/** A shortcut in the form of `aria-keyshortcuts`. */
export function ariaShortcut(shortcut: string): string {
  return shortcut.replace("Mod", IS_MAC ? "Meta" : "Control").replaceAll("-", "+");
}

/** Whether the modifier of shortcuts is pressed: Ctrl, or Command on a Mac. */
export function hasMod(event: KeyboardEvent): boolean {
  return IS_MAC ? event.metaKey : event.ctrlKey;
}
