import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { parse } from "graphql";

import { iterate } from "../lib/iterate.js";
import { operations } from "../lib/operations.js";
import { socket } from "./graphql-ws.js";

const documents = Object.fromEntries(Object.entries(operations).map(([name, text]) => [name, parse(text)]));

/** The client on any link, in the words of the scenarios. */
export function clientOn(link) {
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return {
    async execute(name, variables) {
      const document = documents[name];
      const common = { variables, fetchPolicy: "no-cache", errorPolicy: "all" };
      const isMutation = document.definitions[0].operation === "mutation";
      const { data, error } = await (isMutation
        ? client.mutate({ mutation: document, ...common })
        : client.query({ query: document, ...common }));
      if (error && !error.errors) throw error;
      return { data, errors: error?.errors };
    },
    async *follow(name, variables) {
      const started = client.subscribe({ query: documents[name], variables, fetchPolicy: "no-cache" });
      const results = iterate((sink) => {
        const subscription = started.subscribe(sink);
        return () => subscription.unsubscribe();
      });
      for await (const { data, error } of results) {
        if (error) throw error;
        yield { data };
      }
    },
    close: () => client.stop(),
  };
}

/** Everything over HTTP, subscriptions as multipart responses. */
export const openHttp = ({ url, authorization }) =>
  clientOn(new HttpLink({ uri: url, headers: authorization && { authorization } }));

/** Everything over a WebSocket. */
export function openWebSocket(parameters) {
  const client = socket(parameters);
  const { close, ...rest } = clientOn(new GraphQLWsLink(client));
  return { ...rest, close: () => (close(), client.dispose()) };
}
