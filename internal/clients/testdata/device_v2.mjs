// A device on the AWS IoT device SDK for JavaScript v2: it keeps its shadow and
// takes two jobs, one with each generation of the SDK's service clients, over one
// connection. Prints a line of JSON for each thing that it saw.
//
// Takes {mqtt, transport, host, port, cert, key, ca, thing} as JSON.

import { randomUUID } from "node:crypto";
import { auth, iot, iotjobs, iotshadow, mqtt, mqtt5 } from "aws-iot-device-sdk-v2";

const at = JSON.parse(process.argv[2]);
const thingName = at.thing;
const say = (saw, more) => console.log(JSON.stringify({ saw, ...more }));

async function connect3() {
  const builder = at.transport === "wss"
    ? iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets().with_credentials("eu-north-1", "dev", "dev")
    : iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(at.cert, at.key);
  const connection = new mqtt.MqttClient().new_connection(builder
    .with_certificate_authority_from_path(undefined, at.ca).with_endpoint(at.host).with_port(at.port)
    .with_client_id(thingName).with_clean_session(true).build());
  connection.on("interrupt", (e) => say("interrupted", { error: String(e) }));
  await connection.connect();
  const options = { maxRequestResponseSubscriptions: 5, maxStreamingSubscriptions: 4, operationTimeoutInSeconds: 20 };
  return {
    jobs: new iotjobs.IotJobsClient(connection), shadows: new iotshadow.IotShadowClient(connection),
    jobs2: iotjobs.IotJobsClientv2.newFromMqtt311(connection, options),
    shadows2: iotshadow.IotShadowClientv2.newFromMqtt311(connection, options),
    disconnect: () => connection.disconnect(),
  };
}

async function connect5() {
  const builder = at.transport === "wss"
    ? iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithSigv4Auth(at.host, {
      region: "eu-north-1", credentialsProvider: auth.AwsCredentialsProvider.newStatic("dev", "dev") })
    : iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(at.host, at.cert, at.key);
  const client = new mqtt5.Mqtt5Client(builder
    .withCertificateAuthorityFromPath(undefined, at.ca).withPort(at.port)
    .withConnectProperties({ clientId: thingName, keepAliveIntervalSeconds: 1200 }).build());
  const [connected, stopped] = ["connectionSuccess", "stopped"].map((e) => new Promise((resolve) => client.once(e, resolve)));
  client.on("connectionFailure", (e) => say("refused", { error: String(e.error) }));
  client.on("disconnection", (e) => e.disconnect && say("interrupted", { error: String(e.error) }));
  client.start();
  const { settings } = await connected;
  say("settings", { maximumQos: settings.maximumQos, serverKeepAlive: settings.serverKeepAlive });
  const options = { maxRequestResponseSubscriptions: 5, maxStreamingSubscriptions: 4, operationTimeoutInSeconds: 20 };
  return {
    jobs: iotjobs.IotJobsClient.newFromMqtt5Client(client), shadows: iotshadow.IotShadowClient.newFromMqtt5Client(client),
    jobs2: iotjobs.IotJobsClientv2.newFromMqtt5(client, options),
    shadows2: iotshadow.IotShadowClientv2.newFromMqtt5(client, options),
    disconnect: () => { client.stop({ reasonCode: mqtt5.DisconnectReasonCode.NormalDisconnection }); return stopped; },
  };
}

process.on("unhandledRejection", (e) => {
  console.error("a request was refused:", e);
  process.exit(1);
});

// inbox hands out what a subscription brings, in order.
function inbox() {
  const got = [], waiting = [];
  return {
    put: (message) => waiting.length ? waiting.shift()(message) : got.push(message),
    take: () => got.length ? Promise.resolve(got.shift()) : new Promise((resolve) => waiting.push(resolve)),
  };
}

// generation1 publishes requests and matches the answers of two subscriptions
// by their token, as the samples of the SDK do.
function generation1({ jobs, shadows }) {
  const pending = new Map(), subscribed = new Set();
  let closed = false; // then the answers are for another
  const settle = (method) => (error, answer) => {
    const asked = pending.get(answer?.clientToken);
    if (!asked) return closed || say("a stray answer", { error: String(error), answer });
    pending.delete(answer.clientToken);
    asked[error || method === "reject" ? "reject" : "resolve"](method === "reject" ? answer : error ?? answer);
  };
  return {
    async call(operation, request) {
      const client = operation.includes("Shadow") ? shadows : jobs;
      const key = [operation, request.jobId, request.shadowName].join();
      if (!subscribed.has(key)) {
        await client[`subscribeTo${operation}Accepted`](request, mqtt.QoS.AtLeastOnce, settle("resolve"));
        await client[`subscribeTo${operation}Rejected`](request, mqtt.QoS.AtLeastOnce, settle("reject"));
        subscribed.add(key);
      }
      const clientToken = randomUUID();
      const answered = new Promise((resolve, reject) => pending.set(clientToken, { resolve, reject }));
      answered.catch(() => {}); // the answer may come before the acknowledgement
      await client[`publish${operation}`]({ ...request, clientToken }, mqtt.QoS.AtLeastOnce);
      return answered;
    },
    async listen(event, request) {
      const box = inbox(), client = event.includes("Shadow") ? shadows : jobs;
      await client[`subscribeTo${event}Events`](request, mqtt.QoS.AtLeastOnce, (_, message) => box.put(message));
      return box;
    },
    close() { closed = true; },
  };
}

// generation2 leaves subscriptions and tokens to the SDK.
function generation2({ jobs2, shadows2 }) {
  return {
    async call(operation, request) {
      const client = operation.includes("Shadow") ? shadows2 : jobs2;
      try {
        return await client[operation[0].toLowerCase() + operation.slice(1)](request);
      } catch (e) {
        throw e.modeledError ?? e;
      }
    },
    async listen(event, request) {
      const box = inbox(), client = event.includes("Shadow") ? shadows2 : jobs2;
      const stream = client[`create${event}Stream`](request);
      stream.on("incomingPublish", (e) => box.put(e.message));
      const open = new Promise((resolve) => stream.once("subscriptionStatus", resolve));
      stream.open();
      await open;
      return box;
    },
    close() { jobs2.close(); shadows2.close(); },
  };
}

// refusal is the code with which a request is rejected.
const refusal = (answer) => answer.then(() => "accepted", (e) => e.code ?? String(e));

async function shadow(sdk) {
  const delta = await sdk.listen("ShadowDeltaUpdated", { thingName });
  const updated = await sdk.listen("ShadowUpdated", { thingName });
  const reported = await sdk.call("UpdateShadow", { thingName, state: { reported: { on: false } } });
  await updated.take();
  const desired = await sdk.call("UpdateShadow", { thingName, state: { desired: { on: true } } });
  const got = await sdk.call("GetShadow", { thingName });
  const differs = await delta.take(), documents = await updated.take();
  say("shadow", {
    versions: [desired.version - reported.version, got.version - desired.version, differs.version - desired.version],
    state: got.state, delta: differs.state, current: documents.current.state, timestamp: got.timestamp,
    conflict: await refusal(sdk.call("UpdateShadow", { thingName, state: { reported: { on: 1 } }, version: 99 })),
  });
  await sdk.call("DeleteShadow", { thingName });
  const named = { thingName, shadowName: "config" };
  const made = await sdk.call("UpdateNamedShadow", { ...named, state: { desired: { rate: 5 } } });
  const read = await sdk.call("GetNamedShadow", named);
  await sdk.call("DeleteNamedShadow", named);
  say("named shadow", { desired: made.state.desired, delta: read.state.delta, gone: await refusal(sdk.call("GetNamedShadow", named)) });
}

async function job(sdk, jobId) {
  const next = await sdk.listen("NextJobExecutionChanged", { thingName });
  const changed = await sdk.listen("JobExecutionsChanged", { thingName });
  say("waiting", { jobId });
  const head = (await next.take()).execution;
  const list = (await changed.take()).jobs;
  say("notified", { jobId: head.jobId, status: head.status, document: head.jobDocument, queued: list.QUEUED.map((j) => j.jobId) });
  const pending = await sdk.call("GetPendingJobExecutions", { thingName });
  const started = (await sdk.call("StartNextPendingJobExecution", { thingName, statusDetails: { step: "begin" } })).execution;
  say("started", {
    queued: pending.queuedJobs.map((j) => j.jobId), inProgress: pending.inProgressJobs.length, jobId: started.jobId, status: started.status,
    version: started.versionNumber, number: started.executionNumber, details: started.statusDetails, document: started.jobDocument,
  });
  const update = (status, more) => sdk.call("UpdateJobExecution", { thingName, jobId, status, ...more });
  const progress = await update("IN_PROGRESS", { expectedVersion: 2, statusDetails: { pct: "80" }, includeJobExecutionState: true });
  const described = (await sdk.call("DescribeJobExecution", { thingName, jobId: "$next", includeJobDocument: true })).execution;
  say("progress", {
    state: progress.executionState, described: described.jobId, thing: described.thingName, document: described.jobDocument,
    mismatch: await refusal(update("IN_PROGRESS", { expectedVersion: 2 })), unknown: await refusal(sdk.call("DescribeJobExecution", { thingName, jobId: "none" })),
  });
  const done = await update("SUCCEEDED");
  const after = await next.take(), left = await changed.take();
  say("succeeded", {
    state: done.executionState ?? null, next: after.execution ?? null, left: Object.keys(left.jobs ?? {}),
    again: await refusal(update("FAILED")), nothing: (await sdk.call("StartNextPendingJobExecution", { thingName })).execution ?? null,
  });
}

const sdk = await (at.mqtt === 5 ? connect5() : connect3());
say("connected");
for (const [i, generation] of [generation1(sdk), generation2(sdk)].entries()) {
  await shadow(generation);
  await job(generation, `${thingName}-job-${i + 1}`);
  generation.close();
}
await sdk.disconnect();
say("disconnected");
process.exit(0);
