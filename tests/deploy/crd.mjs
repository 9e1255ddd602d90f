// Holds resources of Prometheus Operator against the schemas of its own types: a list of them as JSON on
// stdin, what is wrong on stdout.
import fs from 'node:fs';

const models = new URL('../../.tools/node/node_modules/@kubernetes-models/prometheus-operator/', import.meta.url);
let wrong = 0;
for (const resource of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  const model = await import(new URL(`${resource.apiVersion}/${resource.kind}.js`, models));
  try {
    new model[resource.kind](resource).validate();
  } catch (error) {
    wrong += 1;
    console.log(`${resource.kind}: ${error.message}`);
  }
}
process.exit(wrong ? 1 : 0);
