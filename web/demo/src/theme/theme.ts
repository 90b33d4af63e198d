import { useSyncExternalStore } from "react";

/** The themes that users can choose: that of the system, or one of the two. */
export const THEMES = ["system", "light", "dark"] as const;

/** A theme. */
export type Theme = (typeof THEMES)[number];

/** public/theme.js reads the same key before the first paint. */
const STORAGE_KEY = "theme";

const listeners = new Set<() => void>();

/** The chosen theme; renders again when it changes. */
export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, current);
}

/** Chooses a theme, and remembers it. */
export function chooseTheme(theme: Theme): void {
  const { dataset } = document.documentElement;
  if (theme === "system") delete dataset.theme;
  else dataset.theme = theme;
  colourBrowser(theme);
  try {
    localStorage.setItem(STORAGE_KEY, theme);
  } catch {
    // Without storage the choice lasts until the next reload.
  }
  for (const listener of listeners) listener();
}

/** Sets the colour of the browser's own bar: index.html has one `theme-color` for each of the two themes. */
function colourBrowser(theme: Theme): void {
  for (const scheme of ["light", "dark"]) {
    const media = theme === "system" ? `(prefers-color-scheme: ${scheme})` : theme === scheme ? "all" : "not all";
    document.querySelector(`meta[name="theme-color"][data-scheme="${scheme}"]`)?.setAttribute("media", media);
  }
}

function current(): Theme {
  const { theme } = document.documentElement.dataset;
  return theme === "light" || theme === "dark" ? theme : "system";
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

colourBrowser(current());
