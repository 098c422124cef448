/** Files that the user chose: named, typed and hashed in pieces, never read whole when large. */
import { sha256 } from "@noble/hashes/sha2.js";

const DICOM_MARK = { at: 128, text: "DICM" };
const OTHER = "application/octet-stream";
// Browsers ask the system for types: it knows none of the first, and calls CSV a spreadsheet.
const TYPES: [string, string][] = [
  [".dcm", "application/dicom"],
  [".nii", "application/x-nifti"],
  [".nii.gz", "application/x-nifti"],
  [".csv", "text/csv"],
];

export interface Chosen {
  /** Below the folder that was chosen, with `/`. */
  path: string;
  file: File;
}

/** The files with their paths: below the folder, if all are in one; none that are hidden. */
export function named(files: File[]): Chosen[] {
  const chosen = files.map((file) => ({ file, parts: pathOf(file).split("/").filter(Boolean) }));
  const top = chosen[0]?.parts[0];
  const inOne = chosen.every(({ parts }) => parts.length > 1 && parts[0] === top);
  return chosen
    .map(({ file, parts }) => ({ file, parts: inOne ? parts.slice(1) : parts }))
    .filter(({ parts }) => !parts.some((part) => part.startsWith(".")))
    .map(({ file, parts }) => ({ file, path: parts.join("/") }));
}

/** A dropped file has `relativePath`, one of a chosen folder `webkitRelativePath`. */
function pathOf(file: File & { relativePath?: string | null }): string {
  return file.relativePath || file.webkitRelativePath || file.name;
}

/** By the name; a DICOM file without an ending by its mark. */
export async function contentType(file: File): Promise<string> {
  const name = file.name.toLowerCase();
  const known = TYPES.find(([ending]) => name.endsWith(ending))?.[1] ?? file.type;
  if (known) return known;
  const { at, text } = DICOM_MARK;
  return (await file.slice(at, at + text.length).text()) === text ? "application/dicom" : OTHER;
}

/** SHA-256 of bytes that fit into memory, by the browser. */
export async function digest(bytes: Blob): Promise<string> {
  return base64(new Uint8Array(await crypto.subtle.digest("SHA-256", await bytes.arrayBuffer())));
}

/** SHA-256 of a file of any size: the browser's own takes no stream. */
export async function streamedDigest(file: Blob, signal: AbortSignal): Promise<string> {
  const hash = sha256.create();
  for await (const piece of file.stream()) {
    signal.throwIfAborted();
    hash.update(piece);
  }
  return base64(hash.digest());
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
