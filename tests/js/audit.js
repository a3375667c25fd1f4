// Checks the server by the audits of graphql-http, with the caller's access token.
import { serverAudits } from "graphql-http";

import { given, report } from "./lib/process.js";

const { url, authorization } = given();

const fetchFn = (address, init = {}) =>
  fetch(address, { ...init, headers: { ...init.headers, authorization } });

const results = [];
for (const audit of serverAudits({ url, fetchFn })) {
  const { id, name, status, reason } = await audit.fn();
  results.push({ id, name, status, reason });
}
report(results);
