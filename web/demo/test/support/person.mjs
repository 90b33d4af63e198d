// Windows of the page: who is in them, and whether they are accessible.

import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";
import { until } from "@realtime-server/harness/until";

/** The person of a window of the page, as the browser remembers it. */
export function personOf(page) {
  return page.evaluate(() => {
    const id = JSON.parse(sessionStorage.getItem("identity"));
    return JSON.parse(localStorage.getItem("people")).find((person) => person.id === id);
  });
}

/** Waits until a window is connected, and has its document, if it shows one. */
export function connected(page) {
  const status = page.getByTestId("status");
  return until("the page is connected", async () => /Connected|Saved|View only/.test(await status.innerText()));
}

/** The second one is that of a window that asks for no other: it stays so. */
const SCHEMES = ["dark", "light"];

/**
 * Fails if a window breaks a rule of axe, in dark or in light colours. `state` says what it shows.
 *
 * axe describes only the elements that break a rule: on a large page, describing the others takes most of the time. The legacy mode
 * leaves out frames of other origins, which the page does not have, and opens no window for each analysis.
 */
export async function accessible(page, state) {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page })
      .setLegacyMode()
      .options({ resultTypes: ["violations"] })
      .analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
    assert.deepEqual(found, [], `${state}, in ${colorScheme} colours`);
  }
}

/** Fails if a window breaks a rule of axe, or is wider than its screen. `state` says what it shows. */
export async function clean(page, state) {
  await accessible(page, state);
  const overhang = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overhang <= 0, `${state} is ${overhang} px too wide`);
}
