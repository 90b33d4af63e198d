import { Icon, type IconName } from "../ui/Icon";
import { chooseTheme, THEMES, useTheme, type Theme } from "./theme";

const ICONS: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };

/** Changes to the next theme. */
export function ThemeButton() {
  const theme = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  return (
    <button
      type="button"
      className="icon-button theme-button"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      data-tooltip={`Theme: ${theme}`}
      onClick={() => chooseTheme(next)}
    >
      <Icon name={ICONS[theme]} />
    </button>
  );
}
