// Calls operations through the AWS SDK for JavaScript v3, as told by lines of
// JSON on standard input.
//
// A line {service, operation, input, pages} is answered by one line: {output},
// {error} or {absent}. With pages, the paginator of the SDK reads all pages of
// two and the output is what they hold together. Takes the endpoint.

import { createInterface } from "node:readline";
import * as iot from "@aws-sdk/client-iot";
import * as data from "@aws-sdk/client-iot-data-plane";
import * as jobs from "@aws-sdk/client-iot-jobs-data-plane";

const configuration = {
  endpoint: process.argv[2], region: "eu-north-1", maxAttempts: 1,
  credentials: { accessKeyId: "dev", secretAccessKey: "dev" },
};
const services = {
  "iot": [iot, new iot.IoTClient(configuration)],
  "iot-data": [data, new data.IoTDataPlaneClient(configuration)],
  "iot-jobs-data": [jobs, new jobs.IoTJobsDataPlaneClient(configuration)],
};

// plain makes what JSON cannot write comparable.
function plain(key, value) {
  const raw = this[key];
  if (raw instanceof Date) return raw.getTime() / 1000;
  if (raw instanceof Uint8Array) return new TextDecoder().decode(raw);
  return value;
}

async function call({ service, operation, input, pages }) {
  const [sdk, client] = services[service];
  const command = sdk[operation + "Command"], paginate = sdk["paginate" + operation];
  if (!command || (pages && !paginate)) return { absent: "not in this version of the SDK" };
  if (input.payload) input.payload = new TextEncoder().encode(input.payload);
  try {
    if (pages) {
      const all = [];
      for await (const page of paginate({ client, pageSize: 2 }, input)) all.push(...page[pages]);
      return { output: { [pages]: all } };
    }
    const { $metadata, ...output } = await client.send(new command(input));
    if (!$metadata.requestId) return { error: { name: "NoRequestId", message: "the answer has no x-amzn-RequestId" } };
    return { output };
  } catch (e) {
    const { name, message, $metadata, $fault, $response, $service, ...more } = e;
    return { error: { name, message, status: $metadata?.httpStatusCode, typed: !!sdk[name] && e instanceof sdk[name], more } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await call(JSON.parse(line)), plain));
}
