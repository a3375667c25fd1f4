// One query twice by its hash, as Apollo's automatic persisted queries do it; reports what was sent.
import { createHash } from "node:crypto";

import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { parse } from "graphql";

import { given, report } from "./lib/process.js";

const { url, authorization, query } = given();

const requests = [];
const recordingFetch = async (address, init) => {
  const asked = init.body ? JSON.parse(init.body) : Object.fromEntries(new URL(address).searchParams);
  const response = await fetch(address, init);
  requests.push({ method: init.method, inFull: "query" in asked, status: response.status });
  return response;
};
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const link = new PersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(
  new HttpLink({ uri: url, headers: { authorization }, fetch: recordingFetch }),
);
const client = new ApolloClient({ link, cache: new InMemoryCache() });

const answers = [];
for (let n = 0; n < 2; n += 1) {
  const { data } = await client.query({ query: parse(query), fetchPolicy: "no-cache" });
  answers.push(data.viewer.user.username);
}
client.stop();
report({ answers, requests });
