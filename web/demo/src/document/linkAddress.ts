const ALLOWED = ["http:", "https:", "mailto:", "tel:"];

/** Makes the address of a link from what the user typed; undefined if it is not an allowed address. */
export function linkAddress(typed: string): string | undefined {
  const text = typed.trim();
  if (text === "" || /\s/.test(text)) return undefined;
  const withScheme = /^[a-z][a-z\d+.-]*:(?!\d)/i.test(text)
    ? text
    : /^[^/@]+@[^/@]+$/.test(text)
      ? `mailto:${text}`
      : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  return url && ALLOWED.includes(url.protocol) ? withScheme : undefined;
}
