import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { restorePeople } from "./session/people";
import "./styles/index.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

await restorePeople();
// Imported afterwards, because its session begins with the person of this window.
const { App } = await import("./App");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);

// The page opens without the network. Vite serves files that the worker does not know, so there is none during development.
if (import.meta.env.PROD) {
  // Only secure pages have service workers, and a browser may refuse them.
  (navigator.serviceWorker as ServiceWorkerContainer | undefined)?.register("./sw.js").catch(() => undefined);
}
