import { defineStore } from 'pinia';
import { shallowReactive } from 'vue';

import type { Conversation, Draft } from './conversation';
import { useModels } from './models';
import { ownKey } from './own';

/** A message on its way. */
export interface Sending {
  draft: Draft;
  /** What part of its files, 0 to 1, has gone out. */
  progress: number;
  abort: () => void;
}

/** What was sent and is not known to be stored: sent again with the same key, it is stored once. */
interface Pending {
  draft: Draft;
  key: string;
  model: string;
}

/** Messages on their way, one a chat, whichever page is shown. */
export const useSending = defineStore('sending', () => {
  const models = useModels();
  const byPlace = shallowReactive(new Map<string, Sending>());
  const pending = new Map<string, Pending>();

  /**
   * Store a message of the chat that `open` gives, whose place is known by then; the conversation, or null if
   * another message of this place is on its way. Rejects as `Conversation.send` does. A secret is not remembered.
   */
  async function send(
    draft: Draft,
    place: string,
    open: () => Promise<Conversation>,
    isSecret = false,
  ): Promise<Conversation | null> {
    if (byPlace.has(place)) return null;
    const giveUp = new AbortController();
    let where = place;
    const show = (progress: number): void => void byPlace.set(where, { draft, progress, abort: () => giveUp.abort() });
    show(0);
    try {
      const target = await open();
      byPlace.delete(where);
      where = target.threadId;
      show(0);
      const known = pending.get(where) ?? recalled(where);
      const one = known !== null && isSame(known.draft, draft) ? known : { draft, key: newKey(), model: models.chosen };
      if (!isSecret) pending.set(where, one);
      if (!isSecret && draft.files.length === 0) localStorage.setItem(ownKey('sending', where), JSON.stringify(one));
      await target.send(draft, one.model, one.key, show, giveUp.signal);
      pending.delete(where);
      localStorage.removeItem(ownKey('sending', where));
      return target;
    } finally {
      byPlace.delete(where);
    }
  }

  return { byPlace, send };
});

/** Also a page that was loaded again must not send twice; files it does not know any more. */
function recalled(place: string): Pending | null {
  const stored = localStorage.getItem(ownKey('sending', place));
  return stored === null ? null : (JSON.parse(stored) as Pending);
}

function isSame(one: Draft, other: Draft): boolean {
  const { files } = other;
  return one.text === other.text && one.files.length === files.length && one.files.every((file, at) => file === files[at]);
}

/** Unlike `crypto.randomUUID`, there for pages that come by plain HTTP, too. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-');
}
