/**
 * Uploads into datasets: Uppy keeps the files and their progress, and its plugin here sends them.
 *
 * Not Uppy's own plugin for S3: since version 6 it opens, lists and joins the parts at S3 itself,
 * which our bucket lets no browser do, and signs parts without their checksum.
 */
import { BasePlugin, EventManager, type PluginOpts, Uppy } from "@uppy/core";
import { type LocalUppyFile, TaskQueue, toError } from "@uppy/core/utils";
import type { Api } from "./api";
import { type Entry, addEntries, open } from "./datasets";
import type { Chosen } from "./files";
import { Journal, type Note } from "./journal";
import { Transfer, statusOf } from "./transfer";

/** Requests with bytes, and files, side by side. Browsers open six connections to a host. */
const LANES = 4;

export interface Meta extends Record<string, unknown> {
  path: string;
}

export type UploadFile = LocalUppyFile<Meta, Record<string, never>>;
export type Uploader = Uppy<Meta, Record<string, never>>;

interface SenderOptions extends PluginOpts {
  api: Api;
  dataset: string;
  journal: Journal;
}

class Sender extends BasePlugin<SenderOptions, Meta, Record<string, never>> {
  readonly #transfer: Transfer;
  readonly #files = new TaskQueue({ concurrency: LANES });
  readonly #notes = new Map<string, Note>();
  #known: Promise<Map<string, Entry>> | undefined;

  constructor(uppy: Uploader, options: SenderOptions) {
    super(uppy, options);
    this.type = "uploader";
    this.id = "Sender";
    const { api, dataset, journal } = options;
    this.#transfer = new Transfer(api, dataset, journal, new TaskQueue({ concurrency: LANES }));
  }

  override install(): void {
    this.uppy.setState({
      capabilities: { ...this.uppy.getState().capabilities, resumableUploads: true },
    });
    this.uppy.addUploader(this.#send);
    this.uppy.addPostProcessor(this.#settle);
  }

  override uninstall(): void {
    this.uppy.removeUploader(this.#send);
    this.uppy.removePostProcessor(this.#settle);
  }

  /** What the dataset has, asked once for all files of a batch, and again if that failed. */
  #entries(): Promise<Map<string, Entry>> {
    this.#known ??= open(this.opts.api, this.opts.dataset).then(({ entries }) => entries);
    this.#known.catch(() => (this.#known = undefined));
    return this.#known;
  }

  #send = async (ids: string[]): Promise<void> => {
    const files = this.uppy.getFilesByIds(ids) as UploadFile[];
    this.uppy.emit("upload-start", files);
    this.#known = undefined;
    await Promise.all(files.map((file) => this.#files.add(() => this.#sendUnlessRemoved(file))));
  };

  /** Sends one file; goes on after each pause until it is there, fails or is removed. */
  async #sendUnlessRemoved(file: UploadFile): Promise<void> {
    const events = new EventManager(this.uppy);
    const removed = new AbortController();
    events.onFileRemove(file.id, () => removed.abort());
    events.onCancelAll(file.id, () => removed.abort());
    try {
      while (this.uppy.getFile(file.id) && !removed.signal.aborted) {
        const paused = new AbortController();
        events.onPauseAll(file.id, () => paused.abort());
        if (this.uppy.getFile(file.id).isPaused) paused.abort();
        try {
          await this.#sendNow(file, AbortSignal.any([paused.signal, removed.signal]));
          return;
        } catch (error) {
          if (removed.signal.aborted) return;
          if (!paused.signal.aborted) throw error;
          await this.#resumed(file, removed.signal);
        }
      }
    } catch (error) {
      this.#fail(file, error);
    } finally {
      events.remove();
    }
  }

  async #sendNow(file: UploadFile, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { path } = file.meta;
    const moved = (bytesUploaded: number): void => {
      const uploadStarted = Date.now();
      this.uppy.emit("upload-progress", file, {
        uploadStarted,
        bytesUploaded,
        bytesTotal: file.size,
      });
    };
    const known = (await this.#entries()).get(path);
    const note = await this.#transfer.send(path, file.data as File, known, moved, signal);
    this.#notes.set(file.id, note);
    this.uppy.emit("upload-success", this.uppy.getFile(file.id), { status: 200 });
  }

  #resumed(file: UploadFile, removed: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const events = new EventManager(this.uppy);
      const done = (): void => {
        events.remove();
        resolve();
      };
      events.onResumeAll(file.id, done);
      removed.addEventListener("abort", done, { once: true });
    });
  }

  /** What the platform verified goes into the manifest, also when other files failed. */
  #settle = async (ids: string[]): Promise<void> => {
    const settled = new Map<UploadFile, Entry>();
    const queue = new TaskQueue({ concurrency: LANES });
    const verify = async (file: UploadFile): Promise<void> => {
      const note = this.#notes.get(file.id);
      if (!note || file.error) return;
      try {
        settled.set(file, await this.#transfer.settled(note));
      } catch (error) {
        this.#fail(file, error);
      }
    };
    const files = this.uppy.getFilesByIds(ids).filter(Boolean) as UploadFile[];
    await Promise.all(files.map((file) => queue.add(() => verify(file))));
    const { api, dataset, journal } = this.opts;
    try {
      await addEntries(api, dataset, [...settled.values()], (manifest, known) =>
        this.#transfer.sendManifest(manifest, known),
      );
      for (const { path } of settled.values()) await journal.strike(path);
    } catch (error) {
      for (const file of settled.keys()) this.#fail(file, error);
    }
  };

  #fail(file: UploadFile, error: unknown): void {
    this.uppy.emit("upload-error", this.uppy.getFile(file.id), toError(error));
  }
}

/** The uploads of this page, by dataset: they go on while the user looks at something else. */
export class Uploads {
  readonly #uploaders = new Map<string, Uploader>();
  readonly #watchers = new Set<() => void>();

  constructor(
    private readonly api: Api,
    private readonly user: string,
  ) {}

  journal(dataset: string): Journal {
    return new Journal(this.user, dataset);
  }

  /** The uploader of a dataset, made when it is first asked for. */
  of(dataset: string): Uploader {
    const known = this.#uploaders.get(dataset);
    if (known) return known;
    const uppy: Uploader = new Uppy<Meta, Record<string, never>>({ id: dataset });
    uppy.use(Sender, { api: this.api, dataset, journal: this.journal(dataset) });
    window.addEventListener("online", () => void uppy.retryAll());
    const told = (): void => this.#watchers.forEach((watcher) => watcher());
    uppy.on("upload-start", told);
    uppy.on("complete", told);
    uppy.on("cancel-all", told);
    this.#uploaders.set(dataset, uppy);
    return uppy;
  }

  /**
   * Lists what had arrived when the page was closed, which needs no file any more; whether there
   * was anything. What isn't whole stays noted.
   */
  async finish(dataset: string): Promise<boolean> {
    if (this.running.includes(dataset)) return false;
    const journal = this.journal(dataset);
    const transfer = new Transfer(this.api, dataset, journal, new TaskQueue());
    const arrived: Entry[] = [];
    for (const note of await journal.all()) {
      const status = await statusOf(this.api, note.binary);
      if (status?.status === "available") arrived.push(await transfer.settled(note));
    }
    await addEntries(this.api, dataset, arrived, (manifest, known) =>
      transfer.sendManifest(manifest, known),
    );
    for (const { path } of arrived) await journal.strike(path);
    return arrived.length > 0;
  }

  /** The datasets that something is on its way to. */
  get running(): string[] {
    return [...this.#uploaders]
      .filter(([, uppy]) => Object.keys(uppy.getState().currentUploads).length > 0)
      .map(([dataset]) => dataset);
  }

  /** Tells when `running` may have changed; gives what stops that. */
  watch(told: () => void): () => void {
    this.#watchers.add(told);
    return () => this.#watchers.delete(told);
  }
}

/** Adds files and begins to send them, but those that are on their way; how many it added. */
export function begin(uppy: Uploader, chosen: Chosen[]): number {
  const known = new Map(uppy.getFiles().map((file) => [file.meta.path, file]));
  const isOnItsWay = (path: string): boolean => {
    const file = known.get(path);
    return file !== undefined && !file.error && !file.progress.complete;
  };
  const byPath = new Map(chosen.map((each) => [each.path, each]));
  const added = [...byPath.values()].filter(({ path }) => !isOnItsWay(path));
  uppy.removeFiles(added.flatMap(({ path }) => known.get(path)?.id ?? []));
  uppy.addFiles(
    added.map(({ path, file }) => ({
      data: file,
      name: file.name,
      type: file.type,
      meta: { path, relativePath: path },
    })),
  );
  void uppy.upload();
  return added.length;
}
