import type { RealtimeClient } from "./client.js";
import { RealtimeError } from "./error.js";
import { LiveValue } from "./live.js";
import type { Http } from "./http.js";
import { Pacer } from "./pacer.js";
import type { WorkflowState, WorkflowStep } from "./protocol.js";
import { requestOnce } from "./repeat.js";
import type { WaitOptions } from "./wait.js";

/** Where a document stands. Every change makes a new object; an object never changes. */
export interface DocumentWorkflow {
  /** Undefined until the first answer. */
  readonly workflow: WorkflowState | undefined;
  /** Why it could not be fetched. It is fetched again after a reconnect. */
  readonly error: RealtimeError | undefined;
}

/** The workflow of a document, kept up to date while somebody subscribes. */
export class Workflow extends LiveValue<DocumentWorkflow> {
  readonly room: string;
  readonly #client: RealtimeClient;
  readonly #http: Http;
  readonly #pacer = new Pacer(500, () => void this.#fetch());
  #fetching: AbortController | undefined;

  /** Use `client.workflow(room)`. */
  constructor(client: RealtimeClient, http: Http, room: string) {
    super({ workflow: undefined, error: undefined });
    this.#client = client;
    this.#http = http;
    this.room = room;
  }

  /**
   * Moves the document. Of two who do so at once, one succeeds.
   *
   * @throws {RealtimeError} `conflict`, if somebody was faster, or the workflow has no such step; `forbidden`, if this user may not
   * take it.
   */
  async transition(
    to: string,
    { note, ...options }: { note?: string | undefined } & WaitOptions = {},
  ): Promise<WorkflowState> {
    const from = this.value.workflow?.status;
    const payload = { room: this.room, to, ...(from !== undefined && { from }), ...(note && { note }) };
    try {
      const { workflow } = await requestOnce(this.#client, "workflow_transition", payload, options);
      this.change({ workflow, error: undefined });
      return workflow;
    } catch (error) {
      if (error instanceof RealtimeError && error.code === "conflict") this.#pacer.request();
      throw error;
    }
  }

  /** The steps that were taken, the newest first. @throws {RealtimeError} */
  async history({
    limit,
    cursor,
    ...options
  }: { limit?: number | undefined; cursor?: string | undefined } & WaitOptions = {}): Promise<{
    history: WorkflowStep[];
    next_cursor?: string;
  }> {
    const payload = { room: this.room, ...(limit !== undefined && { limit }), ...(cursor && { cursor }) };
    return this.#client.request("workflow_history", payload, options);
  }

  protected start(): () => void {
    const client = this.#client;
    const connected = (status: string) => {
      if (status === "connected") this.#pacer.request();
    };
    client.on("status", connected);
    const ends = [
      () => client.off("status", connected),
      client.subscribe("workflow_update", (step) => {
        if (step.room !== this.room) return;
        const { to: status, at: since, by } = step;
        const known = this.value.workflow;
        // The answer to a step of this window has it already.
        if (known?.status === status && known.since === since) return;
        // What this user may do next depends on rights: it is asked for.
        this.change({ workflow: { status, since, by, allowed: [] } });
        this.#pacer.request();
      }),
    ];
    this.#pacer.request();
    return () => {
      for (const end of ends) end();
      this.#pacer.cancel();
      this.#fetching?.abort();
    };
  }

  async #fetch(): Promise<void> {
    this.#fetching?.abort();
    const fetching = new AbortController();
    this.#fetching = fetching;
    const path = ["documents", this.room, "workflow"];
    try {
      const answer = await this.#http.request({ method: "GET", path, signal: fetching.signal });
      if (!fetching.signal.aborted) this.change({ ...(answer as { workflow: WorkflowState }), error: undefined });
    } catch (cause) {
      if (fetching.signal.aborted) return;
      const error = cause instanceof RealtimeError ? cause : new RealtimeError("internal", undefined, { cause });
      this.change({ error });
    }
  }
}
