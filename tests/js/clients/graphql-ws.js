import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { operations } from "../lib/operations.js";

// Apollo's link looks for the browser's.
globalThis.WebSocket ??= WebSocket;

/** graphql-ws with one socket, which stays open. */
export const socket = ({ url, authorization, retries }) =>
  createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: authorization && { authorization },
    lazyCloseTimeout: 60_000,
    retryAttempts: retries,
    retryWait: async () => {},
  });

/** The client by itself. */
export function open(parameters) {
  const client = socket(parameters);
  const start = (name, variables) => client.iterate({ query: operations[name], variables });
  return {
    async execute(name, variables) {
      try {
        for await (const result of start(name, variables)) return result;
      } catch (errors) {
        return { errors };
      }
    },
    follow: start,
    close: () => client.dispose(),
  };
}
