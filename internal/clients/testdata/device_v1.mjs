// A device on the AWS IoT device SDK for JavaScript v1: it keeps its shadow on
// one connection and takes a job on the next. Prints a line of JSON for each
// thing that it saw.
//
// Takes {transport, host, port, cert, key, ca, thing} as JSON.

import { once } from "node:events";
import { promisify } from "node:util";
import awsIot from "aws-iot-device-sdk";

const at = JSON.parse(process.argv[2]);
const say = (saw, more) => console.log(JSON.stringify({ saw, ...more }));
const options = {
  protocol: at.transport === "wss" ? "wss" : "mqtts", host: at.host, port: at.port, region: "eu-north-1",
  keyPath: at.key, certPath: at.cert, caPath: at.ca, accessKeyId: "dev", secretKey: "dev", clientId: at.thing,
};

// settled is the next status event of a request.
async function settled(shadows, token) {
  for (;;) {
    const [, status, of, document] = await once(shadows, "status");
    if (of === token) return { status, document };
  }
}

async function shadow() {
  const shadows = awsIot.thingShadow(options);
  shadows.on("error", (e) => say("error", { error: String(e) }));
  await once(shadows, "connect");
  say("connected");
  await promisify(shadows.register.bind(shadows))(at.thing, {});
  const update = (state) => settled(shadows, shadows.update(at.thing, { state }));
  const reported = await update({ reported: { on: false } });
  const differs = once(shadows, "delta");
  const desired = await update({ desired: { on: true } });
  const [, delta] = await differs;
  const got = await settled(shadows, shadows.get(at.thing));
  const gone = await settled(shadows, shadows.delete(at.thing));
  const refused = await settled(shadows, shadows.get(at.thing));
  say("shadow", {
    statuses: [reported, desired, got, gone, refused].map((a) => a.status), delta: delta.state, state: got.document.state, refused: refused.document.code,
  });
  shadows.end();
  await once(shadows, "close");
}

async function job() {
  const jobs = awsIot.jobs(options);
  jobs.on("error", (e) => say("error", { error: String(e) }));
  await once(jobs, "connect");
  const given = new Promise((resolve, reject) => jobs.subscribeToJobs(at.thing, "install", (e, job) => e ? reject(e) : resolve(job)));
  await promisify(jobs.startJobNotifications)(at.thing);
  say("waiting");
  const job = await given;
  say("notified", { jobId: job.id, operation: job.operation, document: job.document, status: job.status.status });
  await promisify(job.inProgress)({ pct: "80" });
  await promisify(job.succeeded)({ pct: "100" });
  say("succeeded");
  jobs.end();
  await once(jobs, "close");
}

await shadow();
await job();
say("disconnected");
process.exit(0);
