// An answer read by an EventSource, which is cut off and comes back by itself.
import { EventSource } from "eventsource";

import { Answer } from "./lib/answer.js";
import { Line } from "./lib/line.js";
import { operations } from "./lib/operations.js";
import { given, openGate, report } from "./lib/process.js";

const { runId, ...test } = given();
const line = await Line.to(test.url);
const url = new URL(line.url);
url.search = new URLSearchParams({ query: operations.Follow, variables: JSON.stringify({ runId }) });

const answer = new Answer();
const [ids, cursors, requests] = [[], [], []];
const source = new EventSource(url, {
  fetch: (address, { headers, ...init }) => {
    requests.push(headers["Last-Event-ID"] ?? null);
    return fetch(address, { ...init, headers: { ...headers, authorization: test.authorization } });
  },
});

source.addEventListener("next", async ({ data, lastEventId }) => {
  const event = JSON.parse(data).data.runEvents;
  ids.push(lastEventId);
  cursors.push(event.cursor);
  answer.add(event);
  if (answer.text === test.beginning) {
    line.cut();
    answer.seen = [];
    await openGate(test, test.gate);
  }
});
await new Promise((resolve) => source.addEventListener("complete", resolve));
source.close();
line.close();
report({ ...answer, ids, cursors, requests });
