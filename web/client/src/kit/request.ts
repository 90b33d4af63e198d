import { useCallback, useState } from "react";
import { RealtimeError } from "../error.js";
import { reasonOf } from "./reason.js";

/** Sends requests, and says why the last one failed. */
export interface Requesting {
  readonly isBusy: boolean;
  /** A whole sentence; undefined if nothing has failed since the last request. */
  readonly problem: string | undefined;
  /** Sends a request. `failure` is the beginning of the sentence that a failure is told by. Resolves to whether it succeeded. */
  readonly run: (failure: string, request: () => Promise<unknown>) => Promise<boolean>;
}

/** Sends the requests of a component. */
export function useRequest(): Requesting {
  const [state, setState] = useState<{ isBusy: boolean; problem: string | undefined }>({
    isBusy: false,
    problem: undefined,
  });
  const run = useCallback(async (failure: string, request: () => Promise<unknown>) => {
    setState({ isBusy: true, problem: undefined });
    try {
      await request();
      setState({ isBusy: false, problem: undefined });
      return true;
    } catch (error) {
      setState({ isBusy: false, problem: `${failure}: ${wordsOf(error)}` });
      return false;
    }
  }, []);
  return { ...state, run };
}

function wordsOf(error: unknown): string {
  if (!(error instanceof RealtimeError)) return "it failed.";
  if (error.code === "disconnected" || error.code === "timeout") return "the server does not answer. Try it again.";
  return reasonOf(error);
}
