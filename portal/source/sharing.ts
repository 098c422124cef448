/** Sharing: Consents by which a dataset is shared or asked for, and what is decided about them. */
import type { Api } from "./api";
import { once, type Resource, search, unchanged } from "./fhir";

const CODES = "http://terminology.hl7.org/CodeSystem";
const REASON = "urn:ai4h:consent:reason";

/** Whom a dataset may be shared with, and how FHIR calls them. */
export const GRANTEES = {
  user: "Practitioner",
  group: "Group",
  challenge: "Organization",
} as const;
export type Grantee = keyof typeof GRANTEES;

/** What for: codes of FHIR's PurposeOfUse. */
export const PURPOSES = {
  HRESCH: "Research",
  CLINTRCH: "Clinical trial",
  HQUALIMP: "Quality improvement",
  PUBHLTH: "Public health",
} as const;

export interface Consent extends Resource {
  status: "proposed" | "active" | "inactive" | "rejected";
  extension?: { url: string; valueString?: string }[];
  provision?: {
    period?: { start?: string; end?: string };
    actor?: { reference: { type: string; identifier: { value: string } } }[];
    purpose?: { code: string }[];
    data?: { reference: { reference: string } }[];
  };
}

export interface Terms {
  kind: Grantee;
  name: string;
  /** Last day of it, such as 2026-06-30. */
  until: string;
  purpose: string;
  reason: string;
}

/** A new Consent on a dataset's id: `active` to share it, `proposed` to ask for it. */
export function write(
  api: Api,
  dataset: string,
  terms: Terms,
  status: "active" | "proposed",
): Promise<Consent> {
  const coded = (system: string, code: string) => ({ coding: [{ system, code }] });
  const consent = {
    resourceType: "Consent",
    status,
    scope: coded(`${CODES}/consentscope`, "research"),
    category: [coded("http://loinc.org", "57016-8")],
    policyRule: coded(`${CODES}/v3-ActCode`, "OPTIN"),
    provision: {
      type: "permit",
      period: { start: new Date().toISOString(), end: terms.until },
      actor: [
        {
          role: coded(`${CODES}/v3-RoleCode`, "IRCP"),
          reference: { type: GRANTEES[terms.kind], identifier: { value: terms.name } },
        },
      ],
      purpose: [{ system: `${CODES}/v3-ActReason`, code: terms.purpose }],
      data: [
        { meaning: "instance", reference: { reference: `DocumentReference/${dataset}` } },
      ],
    },
  };
  return api.call("POST", "/Consent", { body: because(consent, terms.reason), headers: once() });
}

/** Whom a dataset is, was or is to be shared with, newest first. */
export function ofDataset(api: Api, dataset: string): Promise<Consent[]> {
  const terms = { data: `DocumentReference/${dataset}`, _sort: "-_lastUpdated" };
  return Array.fromAsync(search<Consent>(api, "Consent", terms));
}

export async function decide(
  api: Api,
  id: string,
  status: Consent["status"],
  reason = "",
): Promise<Consent> {
  const consent = await api.call<Consent>("GET", `/Consent/${id}`);
  const body = { ...because(consent, reason), status };
  return api.call("PUT", `/Consent/${id}`, { body, headers: unchanged(consent) });
}

/** `user jo`, `group challenge-host`, `challenge 42`. */
export function grantees(consent: Consent): string {
  const kinds = Object.fromEntries(Object.entries(GRANTEES).map(([kind, type]) => [type, kind]));
  return (consent.provision?.actor ?? [])
    .map(({ reference }) => `${kinds[reference.type]} ${reference.identifier.value}`)
    .join(", ");
}

export function reasonOf(consent: Consent): string {
  return consent.extension?.find((each) => each.url === REASON)?.valueString ?? "";
}

function because(consent: Partial<Consent> | object, reason: string): object {
  if (!reason) return consent;
  const extension = "extension" in consent ? (consent.extension ?? []) : [];
  const kept = extension.filter((each) => each.url !== REASON);
  return { ...consent, extension: [...kept, { url: REASON, valueString: reason }] };
}
