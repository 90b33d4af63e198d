// The service worker: the page opens without the network. It keeps the files of the page, and never answers for the server.

/// <reference lib="webworker" />

export {};

declare const self: ServiceWorkerGlobalScope;

/** Written by the build: the files of the page, and a hash of their content. */
declare const __FILES__: readonly string[];
declare const __VERSION__: string;

const PREFIX = "page-";
const CACHE = `${PREFIX}${__VERSION__}`;

/** How long the network may take until the kept page is shown, in milliseconds. */
const PATIENCE_MS = 4_000;

/** A file is the same for all requests, whatever its header `Vary` says of its compression. */
const ANY_KIND = { ignoreSearch: true, ignoreVary: true };

/** The address of the page, without its query. */
const page = new URL("./", self.location.href).href;
const files = new Set(__FILES__.map((file) => new URL(file, page).href));

self.addEventListener("install", (event) => {
  event.waitUntil(keepFiles());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(takeOver());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const address = new URL(request.url);
  address.search = "";
  address.hash = "";
  if (request.mode === "navigate" && address.href === page) event.respondWith(openPage(request));
  else if (files.has(address.href) || isAsset(address)) event.respondWith(file(request));
});

/** Keeps all files of this version. If one of them is missing, the previous version stays. */
async function keepFiles(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll([page, ...files].map((address) => new Request(address, { cache: "no-cache" })));
  // An open page of the previous version is not disturbed: its files are kept until the next version.
  await self.skipWaiting();
}

/** Deletes the files of all versions but this one and the one before, which pages that are open may still need. */
async function takeOver(): Promise<void> {
  const versions = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  for (const name of versions.slice(0, -1)) await caches.delete(name);
  await self.clients.claim();
}

/** The page from the network, so that it is never an old one; the kept one, if the server cannot be reached or is failing. */
async function openPage(request: Request): Promise<Response> {
  const kept = await (await caches.open(CACHE)).match(page, ANY_KIND);
  if (!kept) return await fetch(request);
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    return response.status >= 500 ? kept : response;
  } catch {
    return kept;
  }
}

/** A file of the page. The names of most contain a hash of their content, so that a kept one is never an old one. */
async function file(request: Request): Promise<Response> {
  const kept = isAsset(new URL(request.url)) ? await caches.match(request, ANY_KIND) : undefined;
  if (kept) return kept;
  try {
    return await fetch(request);
  } catch (cause) {
    const offline = await (await caches.open(CACHE)).match(request, ANY_KIND);
    if (offline) return offline;
    throw cause;
  }
}

function isAsset({ href }: URL): boolean {
  return href.startsWith(`${page}assets/`);
}
