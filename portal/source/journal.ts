/**
 * The journal of uploads: what the platform has promised to take, kept by the browser.
 *
 * Written before the next step begins, so that closing the tab loses nothing but the step itself.
 */
import { createStore, del, entries, get, set } from "idb-keyval";

/** A file and the Binary announced for it. */
export interface Note {
  path: string;
  size: number;
  /** When the file was changed, in milliseconds since the epoch. */
  modified: number;
  sha256: string;
  binary: string;
}

const store = createStore("ai4h-uploads", "notes");

/** Of one dataset of one user. */
export class Journal {
  constructor(
    private readonly user: string,
    private readonly dataset: string,
  ) {}

  /** What is known of a file, if it is still the same. */
  async of(path: string, file: File): Promise<Note | undefined> {
    const note = await get<Note>(this.#key(path), store);
    return note?.size === file.size && note.modified === file.lastModified ? note : undefined;
  }

  async note(note: Note): Promise<void> {
    await set(this.#key(note.path), note, store);
  }

  /** A file that is in the manifest needs no note. */
  async strike(path: string): Promise<void> {
    await del(this.#key(path), store);
  }

  /** What was begun and isn't in the manifest. */
  async all(): Promise<Note[]> {
    const kept = await entries<string[], Note>(store);
    return kept
      .filter(([key]) => key[0] === this.user && key[1] === this.dataset)
      .map(([, note]) => note);
  }

  #key(path: string): string[] {
    return [this.user, this.dataset, path];
  }
}
