// Builds the page's script and the licences of what is in it: `npm ci && npm run build`.
// The files are checked in, so that `pulumi up` needs no Node; tests build them again and compare.
// The script begins with the SHA-256 of what it was built from: without Node, too, an old one shows.
// Another folder than site/ may be named: `node build.js FOLDER`.
import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const site = process.argv[2] ?? join(root, "site");

const read = await readdir(join(root, "source"), { recursive: true });
const sources = read.filter((path) => /\.tsx?$/.test(path)).map((path) => `source/${path}`);
const digest = createHash("sha256");
for (const path of [...sources, "build.js", "package-lock.json", "tsconfig.json"].sort()) {
  digest.update(`${path}\n`).update(await readFile(join(root, path)));
}

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ["source/main.tsx"],
  outfile: join(site, "portal.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none", // all licences are in a file of their own
  metafile: true,
  banner: { js: `// Built from portal/source: ${digest.digest("hex")}` },
});

const inside = /node_modules\/((?:@[^/]+\/)?[^/]+)\//;
const packages = Object.values(metafile.outputs)
  .flatMap((output) => Object.entries(output.inputs))
  .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  .map(([path]) => inside.exec(path)?.[1])
  .filter(Boolean);
const licences = [...new Set(packages)].sort().map(async (name) => {
  const folder = join(root, "node_modules", name);
  const { version, license, repository } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((each) => /^licen[cs]e(\.|$)/i.test(each));
  const text = file
    ? (await readFile(join(folder, file), "utf8")).trim()
    : `The package comes without its text: ${repository.url ?? repository}`;
  return `${name} ${version} (${license})\n\n${text}\n`;
});
const title = "portal.js has parts of these packages.\n";
const rule = `\n${"-".repeat(80)}\n\n`;
const text = [title, ...(await Promise.all(licences))].join(rule);
await writeFile(join(site, "portal.licences.txt"), text);
