import { createClient } from "graphql-sse";

import { operations } from "../lib/operations.js";

const openWith = (options) => ({ url, authorization, retries }) => {
  const client = createClient({
    url,
    headers: () => (authorization ? { authorization } : {}),
    retryAttempts: retries,
    retry: async () => {},
    ...options,
  });
  const start = (name, variables) => client.iterate({ query: operations[name], variables });
  return {
    async execute(name, variables) {
      for await (const result of start(name, variables)) return result;
    },
    follow: start,
    close: () => client.dispose(),
  };
};

/** graphql-sse with a stream for each operation. */
export const openDistinct = openWith({});

/** graphql-sse with one stream for all operations, which stays open. */
export const openSingle = openWith({ singleConnection: true, lazyCloseTimeout: 60_000 });
