/** Sending, one message at a time. */
import { ref } from 'vue';

import type { Conversation, Draft } from './conversation';
import { useModels } from './models';
import { useNotices } from './notices';

/** What was sent and is not known to be stored: sent again with the same key, it is stored once. */
interface Pending {
  draft: Draft;
  key: string;
  place: string;
}

export function useSending() {
  const models = useModels();
  const notices = useNotices();
  const isSending = ref(false);
  /** What part of the files, 0 to 1, has gone out. */
  const progress = ref(0);
  let pending: Pending | null = null;
  let giveUp = new AbortController();

  /** Where the message is stored now, in the conversation that `open` gives; null if it is not, which was told. */
  async function send(
    draft: Draft,
    place: string,
    open: () => Promise<Conversation | null>,
  ): Promise<Conversation | null> {
    if (isSending.value) return null;
    isSending.value = true;
    progress.value = 0;
    giveUp = new AbortController();
    if (pending === null || pending.place !== place || !isSame(pending.draft, draft)) {
      pending = { draft, key: newKey(), place };
    }
    let target: Conversation | null = null;
    const isStored = await notices.telling(
      (async () => {
        target = await open();
        if (target === null || pending === null) return;
        pending.place = target.threadId;
        await target.send(draft, models.chosen, pending.key, (part) => (progress.value = part), giveUp.signal);
        pending = null;
      })(),
    );
    isSending.value = false;
    return isStored ? target : null;
  }

  return { isSending, progress, send, abort: () => giveUp.abort() };
}

function isSame(one: Draft, other: Draft): boolean {
  const { files } = other;
  return one.text === other.text && one.files.length === files.length && one.files.every((file, at) => file === files[at]);
}

/** Unlike `crypto.randomUUID`, there for pages that come by plain HTTP, too. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-');
}
