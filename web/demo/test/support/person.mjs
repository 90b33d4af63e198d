/** The person of a window of the page, as the browser remembers it. */
export function personOf(page) {
  return page.evaluate(() => {
    const id = JSON.parse(sessionStorage.getItem("identity"));
    return JSON.parse(localStorage.getItem("people")).find((person) => person.id === id);
  });
}
