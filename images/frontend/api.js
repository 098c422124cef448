// Points the interface at the API of whichever host serves it; upstream bakes in eval.ai's.
const { readFileSync, writeFileSync } = require("node:fs");

const path = process.argv[2];
const config = JSON.parse(readFileSync(path, "utf8"));
if (typeof config.production?.EnvironmentConfig?.API !== "string") {
  throw new Error(`${path} has no production.EnvironmentConfig.API: has upstream changed?`);
}
config.production.EnvironmentConfig.API = "/api/";
writeFileSync(path, JSON.stringify(config, null, 4));
