import { Client, fetchExchange, subscriptionExchange } from "@urql/core";

import { iterate } from "../lib/iterate.js";
import { operations } from "../lib/operations.js";
import { socket } from "./graphql-ws.js";

const openWith = (options) => (parameters) => {
  const { url, authorization } = parameters;
  const { close = () => {}, ...exchanges } = options(parameters);
  const client = new Client({
    url,
    fetchOptions: { headers: authorization ? { authorization } : {} },
    ...exchanges,
  });
  return {
    async execute(name, variables) {
      const isMutation = operations[name].startsWith("mutation");
      const { data, error } = await client[isMutation ? "mutation" : "query"](operations[name], variables);
      if (error?.networkError) throw error.networkError;
      return { data, errors: error?.graphQLErrors };
    },
    async *follow(name, variables) {
      const results = iterate((sink) => {
        const { unsubscribe } = client.subscription(operations[name], variables).subscribe(sink.next);
        return unsubscribe;
      });
      for await (const { data, error, hasNext } of results) {
        if (error) throw error;
        yield { data };
        if (!hasNext) return;
      }
    },
    close,
  };
};

/** Everything by fetch, subscriptions as event streams. */
export const openFetch = openWith(() => ({ exchanges: [fetchExchange], fetchSubscriptions: true }));

/** Subscriptions over a WebSocket, all else by fetch. */
export const openWebSocket = openWith((parameters) => {
  const client = socket(parameters);
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: client.subscribe({ query, variables }, sink) }),
  });
  return {
    exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })],
    close: () => client.dispose(),
  };
});
