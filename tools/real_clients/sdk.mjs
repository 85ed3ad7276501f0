// The SDK for JavaScript: every operation of both of BDA's services, as in steps.json. Argument: a folder with node_modules.
import { appendFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(process.argv[2], "package.json"));
const control = require("@aws-sdk/client-bedrock-data-automation");
const runtime = require("@aws-sdk/client-bedrock-data-automation-runtime");
const endpoint = process.env.AWS_ENDPOINT_URL;
const clients = {
  control: [control, new control.BedrockDataAutomationClient({ endpoint })],
  runtime: [runtime, new runtime.BedrockDataAutomationRuntimeClient({ endpoint })],
};
const schema = JSON.stringify({
  class: "invoice",
  properties: { invoice_number: { type: "string", inferenceType: "explicit", instruction: "The invoice number" } },
});
const place = "arn:aws:bedrock:us-east-1";
const known = {
  schema,
  profile: `${place}:123456789012:data-automation-profile/us.data-automation-v1`,
  managed: `${place}:aws:blueprint/bedrock-data-automation-public-invoice`,
  input: "s3://bda-input/invoice.pdf",
  truth: "s3://bda-input/truth.json",
};
const dig = (value, path) => path.split(".").reduce((found, name) => found[name], value);
const resolve = (value) => {
  if (Array.isArray(value)) return value.map(resolve);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, resolve(member)]));
  }
  return typeof value === "string" && value.startsWith("$") ? known[value.slice(1)] : value;
};

async function take(step) {
  const [library, client] = clients[step.service];
  const command = library[`${step.operation}Command`];
  const giveUp = Date.now() + 60_000;
  for (;;) {
    const answer = await client.send(new command(resolve(step.params)));
    if (!step.until || dig(answer, step.until[0]) === step.until[1]) {
      for (const [name, path] of Object.entries(step.save ?? {})) known[name] = dig(answer, path);
      return;
    }
    if (Date.now() > giveUp) throw new Error(`${step.until[0]} is ${dig(answer, step.until[0])}`);
    await new Promise((again) => setTimeout(again, 100));
  }
}

await fetch(`${endpoint}/bda-input/truth.json`, {
  method: "PUT",
  body: '{"invoice_number": "A-17"}',
  headers: { Authorization: "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, Signature=0" },
});
for (const step of JSON.parse(readFileSync(join(here, "steps.json"), "utf-8"))) {
  let outcome = "ok";
  try {
    await take(step);
  } catch (error) {
    outcome = `FAILED: ${error.name}: ${error.message}`;
  }
  appendFileSync(process.env.REPORT, `${JSON.stringify([`${step.service} ${step.operation}`, outcome])}\n`);
}
