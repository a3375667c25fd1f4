/** The tokens of who is signed in: kept for all tabs, refreshed by one of them at a time. */

export interface Tokens {
  /** Whose they are. */
  userId: string;
  accessToken: string;
  refreshToken: string;
  /** When the access token ends, in milliseconds since the epoch, by this machine's clock. */
  endsAt: number;
}

/** What the server gives. */
export interface GivenTokens {
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
}

const KEY = 'gwp-chat.tokens';
const LOCK = 'gwp-chat.refresh';
/** So much before its end a token is refreshed: a request may be on its way for a while. */
const MARGIN_MS = 30_000;

/** Signed out: nobody was signed in, or the server takes the tokens no more. */
export class SignedOut extends Error {}

type Refresh = (refreshToken: string) => Promise<GivenTokens | null>;

export class TokenKeeper {
  private userId: string | null;

  /**
   * `refresh` asks the server for new tokens, null if it refuses; `ended` is told when they are gone, and whether
   * somebody else is signed in by now, in another tab.
   */
  constructor(
    private readonly refresh: Refresh,
    private readonly ended: (isSomebodyElse: boolean) => void,
  ) {
    this.userId = this.get()?.userId ?? null;
    addEventListener('storage', (event) => {
      if (event.key !== KEY && event.key !== null) return; // null: all was cleared
      const userId = this.get()?.userId ?? null;
      if (userId === this.userId) return;
      this.userId = userId;
      this.ended(userId !== null);
    });
  }

  get(): Tokens | null {
    const stored = localStorage.getItem(KEY);
    return stored === null ? null : (JSON.parse(stored) as Tokens);
  }

  keep(given: GivenTokens, userId: string): void {
    const { accessToken, refreshToken, expiresIn } = given;
    const endsAt = Date.now() + expiresIn * 1000;
    this.userId = userId;
    localStorage.setItem(KEY, JSON.stringify({ userId, accessToken, refreshToken, endsAt } satisfies Tokens));
  }

  drop(): void {
    this.userId = null;
    localStorage.removeItem(KEY);
    this.ended(false);
  }

  /** An access token that counts for a while. Rejects with `SignedOut`. */
  async access(): Promise<string> {
    const tokens = this.get();
    if (tokens === null) throw new SignedOut();
    return Date.now() < tokens.endsAt - MARGIN_MS ? tokens.accessToken : this.renew(tokens.accessToken);
  }

  /** A token in place of one that counts no more; where another tab has it already, that one. */
  renew(stale: string): Promise<string> {
    return exclusively(async () => {
      const tokens = this.get();
      if (tokens === null) throw new SignedOut();
      if (tokens.accessToken !== stale) return tokens.accessToken;
      const given = await this.refresh(tokens.refreshToken);
      const now = this.get();
      // Who signed out meanwhile, here or in another tab, stays so.
      if (now?.userId !== tokens.userId) throw new SignedOut();
      if (now.refreshToken !== tokens.refreshToken) return now.accessToken;
      if (given === null) {
        this.drop();
        throw new SignedOut();
      }
      this.keep(given, tokens.userId);
      return given.accessToken;
    });
  }
}

let queue: Promise<unknown> = Promise.resolve();

/** Run `work` while no other tab runs its own. */
function exclusively<T>(work: () => Promise<T>): Promise<T> {
  // Pages that come by plain HTTP from another machine have no locks: then tabs may refresh twice.
  if ('locks' in navigator) return navigator.locks.request(LOCK, work) as Promise<T>;
  const turn = queue.then(work, work);
  queue = turn.catch(() => undefined);
  return turn;
}
