"use client";

/** The client that components use. */
import { createContext, createElement, useContext, type ReactNode } from "react";
import type { RealtimeClient } from "./client.js";

const Context = createContext<RealtimeClient | undefined>(undefined);

/** Provides a client to all components inside. Create the client once, outside of components. */
export function RealtimeProvider({ client, children }: { client: RealtimeClient; children?: ReactNode }) {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the surrounding `RealtimeProvider`. */
export function useRealtime(): RealtimeClient {
  const client = useContext(Context);
  if (!client) throw new Error("useRealtime needs a <RealtimeProvider client={…}> around it");
  return client;
}
