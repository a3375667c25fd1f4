/** Following what happens: subscriptions that come back by themselves, each behind the last event that it saw. */
import { type AnyVariables, type TypedDocumentNode, stringifyDocument } from '@urql/core';
import { CloseCode, createClient } from 'graphql-ws';
import { ref } from 'vue';

import { BASE, isForNow, tokens } from './client';
import { SignedOut } from './tokens';

const SHORTEST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const SILENCE_MS = 12_000;

/** Whether the server is heard. False only once it has not been for a moment: a restart is not worth a word. */
export const isConnected = ref(true);

const WORTH_A_WORD_MS = 1_500;
let absence: ReturnType<typeof setTimeout> | undefined;

/** Note that the server is not heard. */
export function lost(): void {
  absence ??= setTimeout(() => {
    isConnected.value = false;
  }, WORTH_A_WORD_MS);
}

function found(): void {
  clearTimeout(absence);
  absence = undefined;
  isConnected.value = true;
}

let token = '';
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
    connected: found,
    ping: (received) => {
      // A network that is gone without a word is noticed by the answer that does not come.
      if (!received) silence = setTimeout(() => client.terminate(), SILENCE_MS / 2);
    },
    pong: (received) => {
      if (received) clearTimeout(silence);
    },
    closed: (event) => {
      clearTimeout(silence);
      const code = (event as CloseEvent).code;
      if (code !== 1000) lost();
      if (code === CloseCode.Forbidden) void tokens.renew(token).catch(() => undefined);
    },
  },
});

/** Close the connection: who signs in next has one of their own. */
export function hangUp(): void {
  client.terminate();
}

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
  let attempt = 0;
  let isStopped = false;
  let wait = SHORTEST_WAIT_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let leave: () => void = () => undefined;

  const stop = (): void => {
    isStopped = true;
    clearTimeout(timer);
    removeEventListener('online', atOnce);
    leave();
  };
  const again = (): void => {
    clearTimeout(timer);
    timer = setTimeout(begin, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
  const refuse = (message: string): void => {
    stop();
    refused(message);
  };
  const begin = (): void => {
    clearTimeout(timer);
    leave();
    attempt += 1;
    const own = attempt;
    // An attempt that was left may still say something, such as that it is over.
    const isCurrent = (): boolean => !isStopped && own === attempt;
    leave = client.subscribe<Data>(
      { query, variables: { ...variables, after } },
      {
        next: ({ data, errors }) => {
          if (!isCurrent()) return;
          if (data != null) {
            wait = SHORTEST_WAIT_MS;
            const seen = sink(data);
            after = seen.cursor ?? after;
            if (seen.isOver) return stop();
          }
          const first = errors?.[0];
          if (first !== undefined && !passes(first.extensions?.code)) refuse(first.message);
        },
        error: (error) => {
          if (!isCurrent()) return;
          if (error instanceof SignedOut) return stop();
          const first = Array.isArray(error) ? (error[0] as { message: string; extensions?: { code?: string } }) : null;
          if (first !== null && !passes(first.extensions?.code)) return refuse(first.message);
          lost();
          again();
        },
        complete: () => {
          if (isCurrent()) again();
        },
      },
    );
  };
  const atOnce = (): void => {
    if (absence === undefined) return;
    wait = SHORTEST_WAIT_MS;
    begin();
  };
  addEventListener('online', atOnce);
  begin();
  return stop;
}

/** Whether to come back: also without a code, and with a token that counts no more, as there may be a new one. */
function passes(code: unknown): boolean {
  return code === undefined || code === 'UNAUTHENTICATED' || isForNow(code);
}
