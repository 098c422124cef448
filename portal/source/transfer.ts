/** One file on its way: announced, sent whole or in parts, and verified by the platform. */
import { NetworkError, type TaskQueue, delay, fetcher } from "@uppy/core/utils";
import pRetry from "p-retry";
import { type Api, PATIENCE, Refused } from "./api";
import type { Entry } from "./datasets";
import { contentType, digest, streamedDigest } from "./files";
import type { Journal, Note } from "./journal";

const LARGE_BYTES = 64 * 1024 ** 2;
const VERIFIED_WITHIN_MS = 900_000;
const LONGEST_PAUSE_MS = 5_000;

/** Where bytes go, and the headers that must be sent with them. */
interface Place {
  url: string;
  headers: Record<string, string>;
}

interface Announced {
  id: string;
  presignedPutUrl?: string;
  uploadHeaders?: Record<string, string>;
  partSize?: number;
}

export interface Status {
  status: "pending" | "verifying" | "available" | "rejected" | "expired" | "deleted";
  reason?: string;
  version: string;
  contentType: string;
  partSize?: number;
  received?: { number: number; size: number; sha256: string }[];
}

/** The bytes that have arrived, of those to send. */
export type Moved = (bytes: number) => void;

export class Transfer {
  constructor(
    private readonly api: Api,
    private readonly dataset: string,
    private readonly journal: Journal,
    /** Of the requests that carry bytes. */
    private readonly lanes: TaskQueue,
  ) {}

  /** Sends what the platform doesn't have of a file. `known`: the dataset has one of this path. */
  async send(
    path: string,
    file: File,
    known: Entry | undefined,
    moved: Moved,
    signal: AbortSignal,
  ): Promise<Note> {
    const note = await this.journal.of(path, file);
    const status = note && (await statusOf(this.api, note.binary, signal));
    if (note && status && ["verifying", "available"].includes(status.status)) return note;
    if (note && status?.status === "pending" && status.partSize) {
      await this.#sendParts(file, note.binary, status.partSize, status, moved, signal);
      return note;
    }
    const sha256 = note?.sha256 ?? (await this.#digest(file, signal));
    const begun = { path, size: file.size, modified: file.lastModified, sha256 };
    if (known?.size === file.size && known.sha256 === sha256) {
      return { ...begun, binary: known.binary }; // unchanged
    }
    const type = await contentType(file);
    const binary = (status && note?.binary) ?? known?.binary;
    const answer = await this.#announced(file.name, type, file.size, sha256, binary, signal);
    const made = { ...begun, binary: answer.id };
    await this.journal.note(made);
    if (answer.partSize) {
      await this.#sendParts(file, answer.id, answer.partSize, undefined, moved, signal);
    } else {
      await this.#put(file, placeOf(answer), moved, signal, async () =>
        placeOf(
          await this.#announced(file.name, type, file.size, sha256, answer.id, signal),
        ),
      );
    }
    return made;
  }

  /** Sends a manifest; the id of its Binary. */
  async sendManifest(manifest: Blob, known: string | undefined): Promise<string> {
    const { signal } = new AbortController();
    const file = new File([manifest], "manifest.json", { type: manifest.type });
    const sha256 = await digest(file);
    const announced = () =>
      this.#announced(file.name, file.type, file.size, sha256, known, signal);
    const answer = await announced();
    if (answer.partSize) {
      await this.#sendParts(file, answer.id, answer.partSize, undefined, () => {}, signal);
    } else {
      await this.#put(file, placeOf(answer), () => {}, signal, async () =>
        placeOf(await announced()),
      );
    }
    await this.#verified(answer.id);
    return answer.id;
  }

  /** The file as the platform verified it. Error with the reason if it didn't. */
  async settled(note: Note): Promise<Entry> {
    const { version, contentType: content_type } = await this.#verified(note.binary);
    const { path, size, sha256, binary } = note;
    return { path, size, sha256, content_type, binary, version };
  }

  async #verified(binary: string): Promise<Status> {
    const deadline = Date.now() + VERIFIED_WITHIN_MS;
    for (let pause = 200; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const status = await statusOf(this.api, binary);
      if (status?.status === "available") return status;
      if (!status || !["pending", "verifying"].includes(status.status)) {
        throw new Error(`${status?.status ?? "deleted"}: ${status?.reason ?? "by somebody"}`);
      }
      if (Date.now() > deadline) throw new Error("The platform doesn't get to verifying it.");
      await delay(pause);
    }
  }

  /** Large files are streamed; small ones are quicker by the browser's own means. */
  #digest(file: File, signal: AbortSignal): Promise<string> {
    return file.size > LARGE_BYTES ? streamedDigest(file, signal) : digest(file);
  }

  /** A new Binary, or the next version of one: a URL that ended comes anew no other way. */
  #announced(
    fileName: string,
    type: string,
    size: number,
    sha256: string,
    binary: string | undefined,
    signal: AbortSignal,
  ): Promise<Announced> {
    const body = {
      resourceType: "Binary",
      contentType: type,
      securityContext: { reference: `DocumentReference/${this.dataset}` },
      fileName,
      size,
      sha256,
      ...(binary ? { id: binary } : {}),
    };
    return binary
      ? this.api.call("PUT", `/Binary/${binary}`, { body, signal })
      : this.api.call("POST", "/Binary", { body, signal });
  }

  async #sendParts(
    file: File,
    binary: string,
    partSize: number,
    status: Status | undefined,
    moved: Moved,
    signal: AbortSignal,
  ): Promise<void> {
    const arrived = new Map(status?.received?.map((part) => [part.number, part.size]));
    const told = () => moved([...arrived.values()].reduce((sum, size) => sum + size, 0));
    told();
    const send = async (number: number): Promise<void> => {
      signal.throwIfAborted();
      const part = file.slice((number - 1) * partSize, number * partSize);
      const sha256 = await digest(part);
      const place = () => this.#partPlace(binary, number, sha256, signal);
      const progress: Moved = (bytes) => {
        arrived.set(number, bytes);
        told();
      };
      await this.#put(part, await place(), progress, signal, place);
    };
    const count = Math.ceil(file.size / partSize);
    const missing = Array.from({ length: count }, (_, index) => index + 1).filter(
      (number) => !arrived.has(number),
    );
    const sent = missing.map((number) => this.lanes.add(() => send(number)));
    await Promise.all(sent).catch(async (error) => {
      await Promise.allSettled(sent); // the others see the signal, or end by themselves
      throw error;
    });
    await this.api.call("POST", `/Binary/${binary}/$complete`, { signal });
  }

  async #partPlace(
    binary: string,
    number: number,
    sha256: string,
    signal: AbortSignal,
  ): Promise<Place> {
    const answer = await this.api.call<{ parts: [Place] }>(
      "POST",
      `/Binary/${binary}/$upload-parts`,
      { body: { parts: [{ number, sha256 }] }, signal },
    );
    return answer.parts[0];
  }

  /** Sends bytes, again and again until they are there; waits while the machine is offline. */
  async #put(
    bytes: Blob,
    place: Place,
    moved: Moved,
    signal: AbortSignal,
    renewed: () => Promise<Place>,
  ): Promise<void> {
    let to = place;
    const attempt = async (): Promise<void> => {
      await online(signal);
      try {
        await fetcher(to.url, {
          method: "PUT",
          headers: sendable(to.headers),
          body: bytes,
          retries: 0,
          signal,
          onUploadProgress: (event) => moved(event.loaded),
        });
        moved(bytes.size);
      } catch (error) {
        const status = error instanceof NetworkError ? error.request?.status : undefined;
        if (status === 412) return moved(bytes.size); // an earlier try arrived, its answer didn't
        moved(0);
        if (status === 403) to = await renewed(); // the URL's five minutes are over
        else if (status && status >= 400 && status < 500) {
          throw new Refused(status, "The bytes weren't taken: did the file change?");
        }
        throw status === undefined ? error : new Error("The line to the store broke.");
      }
    };
    await pRetry(attempt, {
      ...PATIENCE,
      signal,
      shouldRetry: ({ error }) => !(error instanceof Refused || signal.aborted),
    });
  }
}

/** How far an upload is, as the platform says; undefined when it is gone. */
export async function statusOf(
  api: Api,
  binary: string,
  signal?: AbortSignal,
): Promise<Status | undefined> {
  try {
    return await api.call("GET", `/Binary/${binary}/$upload-status`, { signal });
  } catch (error) {
    if (error instanceof Refused && [404, 410].includes(error.status)) return undefined;
    throw error;
  }
}

/** Ends an upload that was begun and frees its room; nothing when it is over already. */
export async function abandon(api: Api, note: Note): Promise<void> {
  await api.call("POST", `/Binary/${note.binary}/$abort`).catch((error) => {
    if (!(error instanceof Refused)) throw error;
  });
}

function placeOf(answer: Announced): Place {
  return { url: answer.presignedPutUrl ?? "", headers: answer.uploadHeaders ?? {} };
}

/** The browser sends the length by itself and lets no page do it. */
function sendable(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== "content-length"),
  );
}

async function online(signal: AbortSignal): Promise<void> {
  if (navigator.onLine) return;
  await new Promise<void>((resolve, reject) => {
    window.addEventListener("online", () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
