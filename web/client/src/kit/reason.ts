import type { RealtimeError } from "../error.js";

/** The reason of an error, as a sentence that follows a colon. */
export function reasonOf({ code, message }: RealtimeError): string {
  switch (code) {
    case "forbidden":
      return "you have no right to do that.";
    case "too_large":
      return "it is larger than the server takes.";
    case "conflict":
      return "somebody is writing as this window. If it does not pass, copy your text and reload the page.";
    case "storage_unavailable":
      return "the server cannot reach its database. It is being tried again.";
    case "overloaded":
    case "rate_limited":
      return "the server has too much to do just now. It is being tried again.";
    case "too_many_connections":
      return "too many windows are open. Close one, and this one connects by itself.";
    case "draining":
      return "the server is restarting.";
    case "invalid":
      return "what the server sends and what is here do not fit together.";
    case "too_many_rooms":
      return "too many documents are open in this window.";
    case "session_revoked":
      return "you were signed out.";
    default:
      return /[.!?]$/.test(message) ? message : `${message}.`;
  }
}
