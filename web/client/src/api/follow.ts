/** Following what happens: subscriptions that come back by themselves, each behind the last event that it saw. */
import { type AnyVariables, type TypedDocumentNode, stringifyDocument } from '@urql/core';
import { CloseCode, createClient } from 'graphql-ws';
import { ref } from 'vue';

import { BASE, tokens } from './client';
import { SignedOut } from './tokens';

const SHORTEST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const SILENCE_MS = 12_000;

/** Whether the server is heard. False only once a connection was lost, or cannot be made. */
export const isConnected = ref(true);

let token = '';
let socket: WebSocket | null = null;
let silence: ReturnType<typeof setTimeout> | undefined;

const client = createClient({
  url: new URL('/graphql', BASE.replace(/^http/, 'ws')).href,
  lazy: true,
  lazyCloseTimeout: 5_000,
  keepAlive: SILENCE_MS / 2,
  retryAttempts: 0, // `follow` begins anew, with another cursor
  connectionParams: async () => {
    token = await tokens.access();
    return { Authorization: `Bearer ${token}` };
  },
  on: {
    opened: (opened) => {
      socket = opened as WebSocket;
    },
    connected: () => {
      isConnected.value = true;
    },
    ping: (received) => {
      // A network that is gone without a word is noticed by the answer that does not come.
      if (!received) silence = setTimeout(() => socket?.close(4408, 'Silence'), SILENCE_MS / 2);
    },
    pong: (received) => {
      if (received) clearTimeout(silence);
    },
    closed: (event) => {
      clearTimeout(silence);
      const code = (event as CloseEvent).code;
      if (code !== 1000) isConnected.value = false;
      if (code === CloseCode.Forbidden) void tokens.renew(token).catch(() => undefined);
    },
  },
});

/** What ends a following. */
export type Stop = () => void;

/**
 * Give every event of a subscription to `sink` until `isOver` says of one that it was the last, or until the
 * function that is returned is called. `refused` is told if the server will not have it at all.
 */
export function follow<Data, Variables extends AnyVariables & { after?: string | null | undefined }>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  sink: (data: Data) => { cursor: string | null; isOver: boolean },
  refused: (message: string) => void,
): Stop {
  const query = stringifyDocument(document);
  let after = variables.after ?? null;
  let isStopped = false;
  let wait = SHORTEST_WAIT_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let unsubscribe: () => void = () => undefined;

  const again = (): void => {
    if (isStopped) return;
    timer = setTimeout(begin, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
  const stop = (): void => {
    isStopped = true;
    clearTimeout(timer);
    unsubscribe();
  };
  const begin = (): void => {
    clearTimeout(timer);
    unsubscribe = client.subscribe<Data>(
      { query, variables: { ...variables, after } },
      {
        next: ({ data, errors }) => {
          const code = errors?.[0]?.extensions?.code;
          if (errors?.[0] !== undefined && code !== 'SHUTTING_DOWN') {
            stop();
            refused(errors[0].message);
          }
          if (data == null || isStopped) return;
          wait = SHORTEST_WAIT_MS;
          const seen = sink(data);
          after = seen.cursor ?? after;
          if (seen.isOver) stop();
        },
        error: (error) => {
          if (error instanceof SignedOut) return stop();
          const refusal = Array.isArray(error) ? (error[0] as { message: string; extensions?: { code?: string } }) : null;
          if (refusal !== null && !isForNow(refusal.extensions?.code)) {
            stop();
            refused(refusal.message);
            return;
          }
          isConnected.value = false;
          again();
        },
        complete: again,
      },
    );
  };
  const atOnce = (): void => {
    if (isStopped) return removeEventListener('online', atOnce);
    if (!isConnected.value) {
      wait = SHORTEST_WAIT_MS;
      unsubscribe();
      begin();
    }
  };
  addEventListener('online', atOnce);
  begin();
  return stop;
}

function isForNow(code: string | undefined): boolean {
  return code === undefined || ['UNAUTHENTICATED', 'SHUTTING_DOWN', 'UNAVAILABLE', 'DATABASE_UNAVAILABLE'].includes(code);
}
