/** The members of FHIR R4 resources that the page reads and writes. */
import type { Api } from "./api";

export interface Resource {
  resourceType: string;
  id: string;
  meta: { versionId: string; lastUpdated: string };
}

interface Bundle<R> {
  total?: number;
  entry?: { resource: R }[];
  link?: { relation: string; url: string }[];
}

/** All matches of a search, page after page. */
export async function* search<R extends Resource>(
  api: Api,
  type: string,
  terms: Record<string, string>,
): AsyncGenerator<R> {
  let url: string | undefined = `/${type}?${new URLSearchParams(terms)}`;
  while (url) {
    const bundle: Bundle<R> = await api.call("GET", url);
    for (const { resource } of bundle.entry ?? []) yield resource;
    url = bundle.link?.find((link) => link.relation === "next")?.url;
  }
}

/** The header that refuses a write to what somebody changed in the meantime. */
export function unchanged(resource: Resource): Record<string, string> {
  return { "If-Match": `W/"${resource.meta.versionId}"` };
}

/** The header by which a create that is sent again makes nothing anew. */
export function once(): Record<string, string> {
  return { "Idempotency-Key": crypto.randomUUID() };
}
