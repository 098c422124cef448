/** Calls of the platform's API as the signed-in user, tried again when a fault may pass. */
import pRetry from "p-retry";
import { NotSignedIn, type Session } from "./session";
import type { Settings } from "./settings";

const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
const CONSISTENCY = "X-Consistency-Token";
const REMEMBERED_WRITES = 8;
/** How often something is tried again, with pauses of up to so many milliseconds. */
export const PATIENCE = { retries: 8, minTimeout: 300, maxTimeout: 10_000, randomize: true };

/** The API said no, and would again. */
export class Refused extends Error {
  override name = "Refused";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface Call {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export class Api {
  /** Of the last writes: searches wait until the index shows them. */
  #written: string[] = [];

  constructor(
    private readonly settings: Settings,
    private readonly session: Session,
  ) {}

  /** One call; the JSON of its answer. Paths are relative, links of answers absolute. */
  async call<T>(method: string, path: string, { body, headers, signal }: Call = {}): Promise<T> {
    const url = path.startsWith("/") ? this.settings.apiUrl + path : path;
    const answer = await pRetry(() => this.#sent(method, url, { body, headers, signal }), {
      ...PATIENCE,
      signal,
      shouldRetry: ({ error }) => !(error instanceof Refused || error instanceof NotSignedIn),
    });
    const token = answer.headers.get(CONSISTENCY);
    if (token) this.#written = [...this.#written, token].slice(-REMEMBERED_WRITES);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  }

  async #sent(method: string, url: string, { body, headers, signal }: Call): Promise<Response> {
    let refused: string | undefined;
    for (;;) {
      const token = await this.session.token(refused);
      const answer = await fetch(url, {
        method,
        signal,
        body: body === undefined ? undefined : JSON.stringify(body),
        headers: {
          Accept: "application/fhir+json",
          Authorization: `Bearer ${token}`,
          "x-api-key": this.settings.apiKey,
          ...(body === undefined ? {} : { "Content-Type": "application/fhir+json" }),
          ...(method === "GET" && url.includes("?") && this.#written.length
            ? { [CONSISTENCY]: this.#written.join(",") }
            : {}),
          ...headers,
        },
      });
      if (answer.ok) return answer;
      const said = await problem(answer);
      if (PASSING.has(answer.status)) throw new Error(said);
      if (answer.status !== 401) throw new Refused(answer.status, said);
      if (refused) throw new NotSignedIn("Your sign-in has ended.");
      refused = token;
    }
  }
}

/** What an OperationOutcome says. */
async function problem(answer: Response): Promise<string> {
  const outcome = await answer.json().catch(() => null);
  const said = outcome?.issue?.map((issue: { diagnostics?: string; code: string }) =>
    issue.diagnostics ?? issue.code
  );
  return said?.join(" ") ?? `The platform answered ${answer.status}.`;
}
