/** Black or white, whichever is easier to read on a colour such as `#1e6f2e`. */
export function readableOn(color: string): "#000" | "#fff" {
  const light = luminance(color);
  // The contrast ratio of WCAG 2: with white above, with black below.
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? "#fff" : "#000";
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const share = parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The colour of a person whose colour is unknown or invalid. */
export const NEUTRAL_COLOR = "#5f6672";

/** A valid colour such as `#1e6f2e`: others may have sent any value. */
export function safeColor(color: unknown): string {
  return typeof color === "string" && /^#[0-9a-f]{6}$/i.test(color) ? color : NEUTRAL_COLOR;
}
