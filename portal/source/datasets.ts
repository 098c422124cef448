/** Datasets: a DocumentReference whose one attachment is the manifest, a Binary of its own. */
import { type Api, Refused } from "./api";
import { once, type Resource, search, unchanged } from "./fhir";

const MANIFEST = { contentType: "application/json", title: "manifest.json" };

/** One file of a dataset, as manifests name it: the command `ai4h` writes the same ones. */
export interface Entry {
  path: string;
  size: number;
  /** In base64. */
  sha256: string;
  content_type: string;
  binary: string;
  /** Of the Binary, with these bytes. */
  version: string;
}

export interface Dataset extends Resource {
  /** Nobody else reads a dataset that isn't `current`. */
  status: "current" | "superseded";
  description?: string;
  content: [{ attachment: { url?: string; contentType: string; title?: string } }];
}

/** A dataset with the files of its manifest, by path. */
export interface Opened {
  dataset: Dataset;
  entries: Map<string, Entry>;
  isMine: boolean;
}

interface Readable extends Resource {
  presignedGetUrl?: string;
  uploadStatus?: string;
}

export async function every(api: Api): Promise<Dataset[]> {
  return Array.fromAsync(search<Dataset>(api, "DocumentReference", { _sort: "-_lastUpdated" }));
}

export function create(api: Api, name: string): Promise<Dataset> {
  const body = {
    resourceType: "DocumentReference",
    status: "current",
    description: name,
    content: [{ attachment: MANIFEST }],
  };
  return api.call("POST", "/DocumentReference", { body, headers: once() });
}

export async function open(api: Api, id: string): Promise<Opened> {
  const dataset = await api.call<Dataset>("GET", `/DocumentReference/${id}`);
  const [entries, mine] = await Promise.all([entriesOf(api, dataset), isMine(api, id)]);
  return { dataset, entries, isMine: mine };
}

/** Whether the user may change a dataset: asked of the server, which alone knows owners. */
export async function isMine(api: Api, id: string): Promise<boolean> {
  const path = `/DocumentReference/${id}/$validate?mode=delete`;
  const outcome = await api
    .call<{ issue: { severity: string }[] }>("POST", path)
    .catch((error) => {
      if (error instanceof Refused) return null;
      throw error;
    });
  return outcome?.issue.every((issue) => issue.severity === "information") ?? false;
}

/** Withdraws or restores a dataset, as it is now. */
export async function setStatus(api: Api, id: string, status: Dataset["status"]): Promise<void> {
  await replaced(api, await api.call<Dataset>("GET", `/DocumentReference/${id}`), { status });
}

/** Adds entries to a dataset's manifest, also when another page or command did so meanwhile. */
export async function addEntries(
  api: Api,
  id: string,
  added: Entry[],
  send: (manifest: Blob, binary: string | undefined) => Promise<string>,
): Promise<void> {
  if (!added.length) return;
  await navigator.locks.request(`manifest ${id}`, async () => {
    const dataset = await api.call<Dataset>("GET", `/DocumentReference/${id}`);
    const entries = await entriesOf(api, dataset);
    const isNew = ({ path, binary, version }: Entry): boolean => {
      const known = entries.get(path);
      return known?.binary !== binary || known.version !== version;
    };
    if (!added.some(isNew)) return;
    for (const entry of added) entries.set(entry.path, entry);
    const files = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    const manifest = new Blob([JSON.stringify({ files }, null, 1)], { type: MANIFEST.contentType });
    const known = manifestOf(dataset);
    const binary = await send(manifest, known);
    if (!known) {
      const attachment = { ...MANIFEST, url: `Binary/${binary}` };
      await replaced(api, dataset, { content: [{ attachment }] });
    }
  });
}

/**
 * Removes a dataset and all its bytes; may be repeated. Nobody else reads from the first step on,
 * and the manifest goes last: it tells what there is.
 */
export async function remove(api: Api, { dataset, entries }: Opened): Promise<void> {
  if (dataset.status === "current") await setStatus(api, dataset.id, "superseded");
  for (const binary of new Set([...entries.values()].map((entry) => entry.binary))) {
    await api.call("DELETE", `/Binary/${binary}`);
  }
  await api.call("DELETE", `/DocumentReference/${dataset.id}`);
  const manifest = manifestOf(dataset);
  if (manifest) await api.call("DELETE", `/Binary/${manifest}`);
}

/** Where a file's bytes may be fetched for five minutes. */
export async function address(api: Api, entry: Entry): Promise<string> {
  const path = `/Binary/${entry.binary}/_history/${entry.version}`;
  const binary = await api.call<Readable>("GET", path);
  if (!binary.presignedGetUrl) throw new Error(`${entry.path} is ${binary.uploadStatus}.`);
  return binary.presignedGetUrl;
}

function manifestOf(dataset: Dataset): string | undefined {
  return dataset.content[0].attachment.url?.replace(/^Binary\//, "");
}

async function entriesOf(api: Api, dataset: Dataset): Promise<Map<string, Entry>> {
  const manifest = manifestOf(dataset);
  if (!manifest) return new Map();
  const binary = await api.call<Readable>("GET", `/Binary/${manifest}`);
  const answer = binary.presignedGetUrl ? await fetch(binary.presignedGetUrl) : undefined;
  if (!answer?.ok) throw new Error("The list of the dataset's files can't be read.");
  const { files } = (await answer.json()) as { files: Entry[] };
  return new Map(files.map((entry) => [entry.path, entry]));
}

function replaced(api: Api, dataset: Dataset, changed: Partial<Dataset>): Promise<Dataset> {
  const path = `/DocumentReference/${dataset.id}`;
  return api.call("PUT", path, { body: { ...dataset, ...changed }, headers: unchanged(dataset) });
}
