/** The colours of people, in the order of the server's list (`PALETTE` in `src/session/identity.rs`). */
const PALETTE = [
  ...["#cc60b4", "#00a800", "#0060fc", "#9c6000", "#9c0cfc", "#187854", "#e40000", "#9c84b4"],
  ...["#fc00a8", "#0078b4", "#9c9000", "#c060fc", "#7854d8", "#f06c00", "#b45460", "#c000c0"],
  ...["#009ce4", "#489c6c", "#fc00fc", "#786090", "#fc5478", "#b4846c", "#cc0c78", "#8484fc"],
] as const;

/**
 * The colour that a person prefers, as `#rrggbb`: the same as `user.color` of that person's `connection`, for all persons whose id is
 * known, such as those of `client.presence` or the creator of a document. It depends only on the team (`client.connection.team`) and
 * the id. In a document a person may have another colour, if somebody else there has the same one: see `people` and `state.color`.
 */
export function preferredColor(team: string, userId: string): string {
  // FNV-1a with 64 bits, as on the server.
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(`${team}\0${userId}`)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return PALETTE[Number(hash % BigInt(PALETTE.length))] ?? PALETTE[0];
}
