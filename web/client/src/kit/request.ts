import { useCallback, useState } from "react";
import { RealtimeError, type ErrorCode } from "../error.js";
import { reasonOf } from "./reason.js";

/** Sends requests, and says why the last one failed. */
export interface Requesting {
  readonly isBusy: boolean;
  /** A whole sentence; undefined if nothing has failed since the last request. */
  readonly problem: string | undefined;
  /** The code of that failure, for a component that has better words for it. */
  readonly code: ErrorCode | undefined;
  /** Sends a request. `failure` is the beginning of the sentence that a failure is told by. */
  readonly run: (failure: string, request: () => Promise<unknown>) => Promise<void>;
  /** Forgets the failure. */
  readonly forget: () => void;
}

type State = Pick<Requesting, "isBusy" | "problem" | "code">;

const IDLE: State = { isBusy: false, problem: undefined, code: undefined };

/** Sends the requests of a component. */
export function useRequest(): Requesting {
  const [state, setState] = useState(IDLE);
  const run = useCallback(async (failure: string, request: () => Promise<unknown>) => {
    setState({ ...IDLE, isBusy: true });
    try {
      await request();
      setState(IDLE);
    } catch (error) {
      const code = error instanceof RealtimeError ? error.code : undefined;
      setState({ isBusy: false, problem: `${failure}: ${wordsOf(error)}`, code });
    }
  }, []);
  const forget = useCallback(() => setState(IDLE), []);
  return { ...state, run, forget };
}

function wordsOf(error: unknown): string {
  if (!(error instanceof RealtimeError)) return "it failed.";
  if (error.code === "disconnected" || error.code === "timeout") return "the server does not answer. Try it again.";
  return reasonOf(error);
}
