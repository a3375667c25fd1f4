// One client through all that a client must be able to do; reports what it saw.
import * as apollo from "./clients/apollo.js";
import * as graphqlSse from "./clients/graphql-sse.js";
import * as graphqlWs from "./clients/graphql-ws.js";
import * as urql from "./clients/urql.js";
import { Answer } from "./lib/answer.js";
import { Line } from "./lib/line.js";
import { given, openGate, report } from "./lib/process.js";

const OPEN = {
  "graphql-ws": graphqlWs.open,
  "graphql-sse, distinct connections": graphqlSse.openDistinct,
  "graphql-sse, single connection": graphqlSse.openSingle,
  "apollo, multipart": apollo.openHttp,
  "apollo, graphql-ws": apollo.openWebSocket,
  "urql, event streams": urql.openFetch,
  "urql, graphql-ws": urql.openWebSocket,
};
const NO_THREAD = "00000000-0000-0000-0000-000000000000";

const test = given();
const open = OPEN[test.client];
const line = await Line.to(test.url);
const client = open({ url: line.url, authorization: test.authorization, retries: 0 });

const codes = ({ errors }) => errors?.map((error) => error.extensions.code);

const readAndWrite = async () => {
  const viewer = await client.execute("Viewer");
  const created = await client.execute("CreateThread", { input: { title: test.client } });
  const refused = await client.execute("Send", { input: { threadId: NO_THREAD, text: "Hi", model: "any" } });
  return {
    username: viewer.data.viewer.user.username,
    thread: created.data.createThread.thread,
    failure: refused.data.sendMessage,
  };
};

const fail = async () => {
  const stranger = open({ url: line.url, retries: 0 });
  const found = {
    badCursor: codes(await client.execute("Threads", { after: "no cursor" })),
    badId: codes(await client.execute("Answer", { runId: "no id" })),
    notSignedIn: codes(await stranger.execute("Threads")),
  };
  await stranger.close();
  return found;
};

const send = async (threadId, model) => {
  const { data } = await client.execute("Send", { input: { threadId, text: "Hi", model } });
  return data.sendMessage.run.id;
};

/** Read on, to the end or until `enough`. */
const read = async (events, answer, enough = () => false) => {
  while (!enough(answer)) {
    const { done, value } = await events.next();
    if (done) break;
    answer.add(value.data.runEvents);
  }
  return answer;
};

const hasBegun = ({ text }) => text === test.beginning;

const followToTheEnd = async (threadId) => {
  const runId = await send(threadId, test.models.plain);
  return read(client.follow("Follow", { runId }), new Answer());
};

/** Stop so often that leftovers would be too many for the server, then see that all still works. */
const stopEarly = async (threadId) => {
  const runId = await send(threadId, test.models.stopped);
  const before = line.connections;
  for (let n = 0; n < test.stops; n += 1) {
    const events = client.follow("Follow", { runId });
    await read(events, new Answer(), hasBegun);
    await events.return();
  }
  await openGate(test, test.models.stopped);
  const answer = await read(client.follow("Follow", { runId }), new Answer());
  return { ...answer, newConnections: line.connections - before };
};

/** Lose the connection, miss something, go on behind the last cursor. */
const comeBack = async (threadId) => {
  const runId = await send(threadId, test.models.cut);
  const events = client.follow("Follow", { runId });
  const answer = await read(events, new Answer(), hasBegun);
  line.cut();
  const noticed = await events.next().then(() => false, () => true);
  await openGate(test, test.models.cut);
  answer.seen = [];
  await read(client.follow("Follow", { runId, after: answer.cursor }), answer);
  return { ...answer, noticed };
};

/** Lose the connection, and leave the rest to a client that connects again by itself. */
const heal = async (threadId) => {
  const runId = await send(threadId, test.models.healed);
  const healing = open({ url: line.url, authorization: test.authorization, retries: 5 });
  const events = healing.follow("Follow", { runId });
  const answer = await read(events, new Answer(), hasBegun);
  line.cut();
  await openGate(test, test.models.healed);
  await read(events, answer);
  await healing.close();
  return answer;
};

const written = await readAndWrite();
const threadId = written.thread.id;
const found = {
  ...written,
  ...(await fail()),
  followed: await followToTheEnd(threadId),
  stopped: await stopEarly(threadId),
  cameBack: await comeBack(threadId),
  healed: test.heals ? await heal(threadId) : null,
};
await client.close();
line.close();
report(found);
