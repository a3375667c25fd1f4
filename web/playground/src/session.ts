import { type Answer, post, refusesToken } from './endpoint';

const KEY = 'gwp-chat:session';
const TOKENS = 'tokens { accessToken refreshToken expiresIn }';

const LOGIN = `mutation PlaygroundLogin($input: LoginInput!) {
  login(input: $input) { __typename ... on LoginSuccess { ${TOKENS} viewer { user { username } } } ... on Error { message } }
}`;
const REGISTER = `mutation PlaygroundRegister($input: RegisterInput!) {
  register(input: $input) { __typename ... on Error { message } }
}`;
const REFRESH = `mutation PlaygroundRefresh($input: RefreshInput!) {
  refresh(input: $input) { __typename ... on RefreshSuccess { ${TOKENS} } ... on Error { message } }
}`;

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
}

interface Signed {
  username: string;
  accessToken: string;
  refreshToken: string;
  renewAt: number;
}

/** A failure that the API names by its type and message. */
export class Refused extends Error {}

/**
 * Who is signed in. The tokens live in this browser tab's sessionStorage and nowhere else; whoever wants one
 * gets it by `accessToken()`, which exchanges it first when half its life is over.
 */
export class Session {
  #signed: Signed | null = read();
  #renewal: Promise<void> | null = null;
  #listeners = new Set<(notice: string) => void>();

  get username(): string | null {
    return this.#signed?.username ?? null;
  }

  /** Call `listener` whenever somebody signs in or out, with a sentence if there is something to say. */
  onChange(listener: (notice: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A token with at least half its life ahead, as a subscription dies with its token; null if signed out. */
  async accessToken(): Promise<string | null> {
    if (this.#signed !== null && Date.now() >= this.#signed.renewAt) {
      this.#renewal ??= this.#renew(this.#signed).finally(() => {
        this.#renewal = null;
      });
      await this.#renewal;
    }
    return this.#signed?.accessToken ?? null;
  }

  /** Somebody says that the token is not valid: exchange it now, which ends the session if that is refused, too. */
  async doubt(): Promise<void> {
    if (this.#signed !== null) this.#signed.renewAt = 0;
    await this.accessToken();
  }

  /** Throws Refused for a wrong name or password. */
  async signIn(username: string, password: string): Promise<void> {
    const login = result(await post({ query: LOGIN, variables: { input: { username, password } } }, {}), 'login');
    this.adopt(login.viewer.user.username, login.tokens);
  }

  /** Throws Refused where there are accounts already. */
  async register(username: string, password: string): Promise<void> {
    const answer = await post({ query: REGISTER, variables: { input: { username, password } } }, {});
    if (refusesToken(answer)) throw new Refused('There are accounts already. Ask an administrator for one.');
    result(answer, 'register');
    await this.signIn(username, password);
  }

  /** Use these tokens from now on. */
  adopt(username: string, tokens: Tokens): void {
    this.#set(signed(username, tokens));
  }

  signOut(notice = ''): void {
    this.#set(null, notice);
  }

  async #renew(old: Signed): Promise<void> {
    const input = { refreshToken: old.refreshToken };
    try {
      const refresh = result(await post({ query: REFRESH, variables: { input } }, {}), 'refresh');
      if (this.#signed === old) this.#signed = write(signed(old.username, refresh.tokens));
    } catch (error) {
      // A server that cannot be reached says nothing about the tokens: the request itself will tell.
      if (error instanceof Refused && this.#signed === old) this.signOut('Your session has ended. Sign in again.');
    }
  }

  #set(next: Signed | null, notice = ''): void {
    this.#signed = write(next);
    for (const listener of this.#listeners) listener(notice);
  }
}

function signed(username: string, { accessToken, refreshToken, expiresIn }: Tokens): Signed {
  return { username, accessToken, refreshToken, renewAt: Date.now() + expiresIn * 500 };
}

function read(): Signed | null {
  return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Signed | null;
}

function write(next: Signed | null): Signed | null {
  if (next === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, JSON.stringify(next));
  return next;
}

interface Success {
  tokens: Tokens;
  viewer: { user: { username: string } };
}

/** The success that a mutation of ours must give. */
function result(answer: Answer, field: string): Success {
  const found = answer.data?.[field] as (Success & { __typename: string; message?: string }) | undefined;
  if (found?.__typename.endsWith('Success')) return found;
  if (found?.message !== undefined) throw new Refused(found.message);
  throw new Error(answer.errors?.[0]?.message ?? 'The server gave no answer.');
}
