import type { Answer } from './endpoint';
import { PLACEHOLDERS } from './examples';

const KEY = 'gwp-chat:filled-in';

type Name = keyof typeof PLACEHOLDERS;
export type Found = Partial<Record<Name, string>>;

interface Interesting {
  createThread?: { thread?: { id?: string } } | null;
  sendMessage?: { run?: { id?: string } | null } | null;
  models?: { id?: string }[] | null;
}

/** The values of an answer that other examples need. */
export function valuesIn({ data }: Answer): Found {
  const { createThread, sendMessage, models } = (data ?? {}) as Interesting;
  const found = { threadId: createThread?.thread?.id, runId: sendMessage?.run?.id, model: models?.[0]?.id };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => typeof value === 'string'));
}

/** Puts such values in the place of placeholders, and of what it put there before; never of what a person wrote. */
export class FillIn {
  #ours = new Set<string>(JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as string[]);

  /** The variables of a tab with these values in them; as they were, if nothing was to be replaced. */
  into(variables: string, found: Found): string {
    let parsed: unknown;
    try {
      parsed = JSON.parse(variables);
    } catch {
      return variables;
    }
    const text = JSON.stringify(parsed, (key, value: unknown) => this.#replace(key, value, found), 2);
    return text === JSON.stringify(parsed, null, 2) ? variables : text;
  }

  /** Remember that these are ours, once all tabs had their turn. */
  remember(found: Found): void {
    for (const value of Object.values(found)) this.#ours.add(value);
    sessionStorage.setItem(KEY, JSON.stringify([...this.#ours]));
  }

  #replace(key: string, value: unknown, found: Found): unknown {
    const name = key as Name;
    const ours = typeof value === 'string' && (value === PLACEHOLDERS[name] || this.#ours.has(value));
    return ours ? (found[name] ?? value) : value;
  }
}
