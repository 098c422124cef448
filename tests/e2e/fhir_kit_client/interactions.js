// Does every interaction that fhir-kit-client knows, and prints what each came to as a JSON object.
import { Client } from "fhir-kit-client";

const { API_URL, ID_TOKEN, API_KEY, MARK } = process.env;
const api = new Client({
  baseUrl: API_URL,
  customHeaders: { Authorization: `Bearer ${ID_TOKEN}`, "x-api-key": API_KEY },
});
const resourceType = "Patient";
const body = { resourceType, name: [{ family: MARK }], gender: "female" };
const came = {};

came.capabilities = (await api.capabilityStatement()).fhirVersion;
const made = await api.create({ resourceType, body });
const { id } = made;
came.read = (await api.read({ resourceType, id })).name[0].family;
came.update = (await api.update({ resourceType, id, body: { ...made, active: true } })).meta.versionId;
const jsonPatch = [{ op: "replace", path: "/gender", value: "other" }];
came.patch = (await api.patch({ resourceType, id, jsonPatch })).gender;
came.vread = (await api.vread({ resourceType, id, version: "1" })).gender;
came.history = (await api.history({ resourceType, id })).entry.length;
came.typeHistory = (await api.history({ resourceType })).type;
came.systemHistory = (await api.history()).type;

const entry = [{ resource: body, request: { method: "POST", url: resourceType } }];
for (const type of ["transaction", "batch"]) {
  const told = await api[type]({ body: { resourceType: "Bundle", type, entry } });
  came[type] = told.entry[0].response.status;
}

const searchParams = { family: MARK, _count: 2 };
const deadline = Date.now() + 20_000;
let pages;
do {
  pages = [];
  let bundle = await api.search({ resourceType, searchParams });
  while (bundle) {
    pages.push((bundle.entry ?? []).length);
    bundle = await api.nextPage({ bundle });
  }
} while (pages.join() !== "2,1" && Date.now() < deadline);
came.search = pages;
came.systemSearch = (await api.search({ searchParams: { _type: resourceType, _count: 1 } })).type;
const compartment = { resourceType, id };
came.compartment = (await api.search({ resourceType: "Observation", compartment })).type;
came.everything = (await api.operation({ name: "everything", resourceType, id, method: "GET" })).type;
came.validate = (await api.operation({ name: "validate", resourceType, input: body })).resourceType;
came.refused = await api
  .create({ resourceType, body: { ...body, nickname: "Jo" } })
  .catch((error) => error.response.data.resourceType);
await api.delete({ resourceType, id });
came.deleted = await api.read({ resourceType, id }).catch((error) => error.response.status);

console.log(JSON.stringify(came));
