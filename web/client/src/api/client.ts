/** Asking the server: every request carries a token that counts, and failures are exceptions with a sentence. */
import { type AnyVariables, Client, type TypedDocumentNode, fetchExchange } from '@urql/core';

import { HAS_ACCOUNTS, LOGIN, LOGOUT, REFRESH, REGISTER } from './operations';
import { type GivenTokens, SignedOut, TokenKeeper } from './tokens';

/** Where the API is. Vite's own server passes on what is asked of it: see `vite.config.ts`. */
export const BASE: string = (import.meta.env.PROD ? import.meta.env.VITE_API_BASE_URL : undefined) ?? location.origin;

/** A network that is gone without a word is noticed by the answer that does not come. */
const ANSWER_WITHIN_MS = 30_000;

/** The server cannot be reached, or is not able to answer for now. */
export class Unreachable extends Error {}

/** The server refuses, and says why: in a sentence, and in a word for programs if it has one. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly code: unknown = undefined,
  ) {
    super(message);
  }
}

const UNAUTHENTICATED = 'UNAUTHENTICATED';
/** Codes of failures that pass by themselves. */
const FOR_NOW: ReadonlySet<unknown> = new Set(['UNAVAILABLE', 'DATABASE_UNAVAILABLE', 'SHUTTING_DOWN', 'RUN_ELSEWHERE']);

const urql = new Client({
  url: new URL('/graphql', BASE).href,
  exchanges: [fetchExchange],
  preferGetMethod: false,
  requestPolicy: 'network-only',
});

let onSignedOut: (isSomebodyElse: boolean) => void = () => undefined;

export const tokens = new TokenKeeper(
  renewed,
  (isSomebodyElse) => onSignedOut(isSomebodyElse),
);

/** Have `listener` told when nobody, or somebody else, is signed in any more, by this tab or another. */
export function whenSignedOut(listener: (isSomebodyElse: boolean) => void): void {
  onSignedOut = listener;
}

/** Whether anybody has an account: else one may be made here, of an administrator. */
export async function hasAccounts(): Promise<boolean> {
  return (await perform(HAS_ACCOUNTS, {}, null)).hasAccounts;
}

export async function signIn(username: string, password: string): Promise<void> {
  const { login } = await perform(LOGIN, { input: { username, password } }, null);
  if (login.__typename !== 'LoginSuccess') throw new Refused(login.message, login.code);
  tokens.keep(login.tokens, login.viewer.user.id);
}

export async function register(username: string, password: string): Promise<void> {
  const { register: made } = await perform(REGISTER, { input: { username, password } }, null);
  if (made.__typename !== 'RegisterSuccess') throw new Refused(made.message, made.code);
}

/** Sign out here at once and, if the server can be reached, on every device. */
export async function signOut(): Promise<void> {
  const held = tokens.get();
  tokens.drop();
  if (held === null) return;
  try {
    const isFresh = Date.now() < held.endsAt;
    const counting = isFresh ? held : await renewed(held.refreshToken);
    if (counting !== null) await perform(LOGOUT, {}, counting.accessToken);
  } catch (error) {
    if (!(error instanceof Unreachable || error instanceof SignedOut)) throw error;
  }
}

/** New tokens; null if the server refuses them. */
async function renewed(refreshToken: string): Promise<GivenTokens | null> {
  const { refresh } = await perform(REFRESH, { input: { refreshToken } }, null);
  return refresh.__typename === 'RefreshSuccess' ? refresh.tokens : null;
}

/** The data of an operation. Rejects with `SignedOut`, `Unreachable` or `Refused`. */
export function ask<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  return withToken((token) => perform(document, variables, token));
}

/** The result of `work` with an access token; with a new one, if the server takes the first no more. */
export async function withToken<T>(work: (token: string) => Promise<T>): Promise<T> {
  const token = await tokens.access();
  try {
    return await work(token);
  } catch (error) {
    if (!(error instanceof SignedOut)) throw error;
    // Revoked, or this machine's clock is wrong: one new token, one more try.
    return work(await tokens.renew(token));
  }
}

async function perform<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  token: string | null,
): Promise<Data> {
  const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
  const isMutation = document.definitions.some(
    (definition) => 'operation' in definition && definition.operation === 'mutation',
  );
  const context = { fetchOptions: { headers, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) } };
  const { data, error } = await (isMutation
    ? urql.mutation(document, variables, context)
    : urql.query(document, variables, context)
  ).toPromise();
  if (error !== undefined) throw failureOf(error.graphQLErrors) ?? new Unreachable(error.message);
  return data as Data;
}

/** A failure as the server tells it. */
interface ToldError {
  message: string;
  extensions?: { code?: unknown };
}

/** What the first of these errors means; null if there is none. */
export function failureOf(errors: readonly ToldError[]): Error | null {
  const [first] = errors;
  if (first === undefined) return null;
  const code = first.extensions?.code;
  if (code === UNAUTHENTICATED) return new SignedOut(first.message);
  return isForNow(code) ? new Unreachable(first.message) : new Refused(first.message, code);
}

/** Whether a failure with this code passes by itself. */
export function isForNow(code: unknown): boolean {
  return FOR_NOW.has(code);
}
