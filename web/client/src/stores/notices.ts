import { defineStore } from 'pinia';
import { ref } from 'vue';

import { SignedOut } from '../api/tokens';
import { Aborted } from '../api/uploads';
import { sentenceOf } from '../locales/failures';

export interface Notice {
  id: number;
  text: string;
  isError: boolean;
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 8_000;
/** What went wrong, or can be undone, is read to its end. */
const LONG_SHOWN_MS = 20_000;

/** Short messages at the edge of the page. */
export const useNotices = defineStore('notices', () => {
  const notices = ref<Notice[]>([]);
  let next = 1;

  function dismiss(id: number): void {
    notices.value = notices.value.filter((notice) => notice.id !== id);
  }

  function show(text: string, options: { isError?: boolean; action?: Notice['action'] } = {}): void {
    const { isError = false, action } = options;
    // What can be undone is told each time: it is another thing.
    if (action === undefined && notices.value.some((notice) => notice.text === text)) return;
    const id = next++;
    notices.value = [...notices.value, { id, text, isError, ...(action === undefined ? {} : { action }) }];
    setTimeout(() => dismiss(id), isError || action !== undefined ? LONG_SHOWN_MS : SHOWN_MS);
  }

  /** Whether the work was done; what went wrong is shown. */
  async function telling(work: Promise<unknown>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      // The page for signing in says the first by itself, and whoever gave up knows.
      if (error instanceof SignedOut || error instanceof Aborted) return false;
      if (!(error instanceof Error)) throw error;
      show(sentenceOf(error), { isError: true });
      return false;
    }
  }

  /** Leave none to who signs in next. */
  function clear(): void {
    notices.value = [];
  }

  return { notices, dismiss, show, telling, clear };
});
