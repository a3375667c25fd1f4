import { defineStore } from 'pinia';
import { computed, ref, shallowReactive } from 'vue';

import { Refused, ask } from '../api/client';
import { type Stop, follow } from '../api/follow';
import type { ThreadPartsFragment } from '../api/gql/graphql';
import {
  CREATE_THREAD,
  DELETE_THREAD,
  RENAME_THREAD,
  RESTORE_THREAD,
  THREADS,
  THREADS_CHANGED,
} from '../api/operations';
import { patiently } from '../api/patience';

export type Thread = ThreadPartsFragment;

const PAGE = 30;

/** The list of one's threads, the latest first, as it is on every device. */
export const useThreads = defineStore('threads', () => {
  const byId = shallowReactive(new Map<string, Thread>());
  /** Those that were here, and were deleted or taken away since. */
  const gone = shallowReactive(new Set<string>());
  const list = computed(() =>
    [...byId.values()].filter((thread) => !thread.isDeleted).sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1)),
  );
  const isLoaded = ref(false);
  const hasMore = ref(false);
  let end: string | null = null;
  let loading: Promise<void> | null = null;
  let stop: Stop | null = null;
  let isOpen = false;
  /** Counts who signs in: what was asked for somebody else is not taken. */
  let generation = 0;

  /** Load the first page, as soon as the server can be reached, and follow all changes from there on. */
  async function open(): Promise<void> {
    if (isOpen) return;
    isOpen = true;
    const own = generation;
    const page = await patiently(
      () => ask(THREADS, { first: PAGE }),
      () => own === generation,
    );
    if (page === undefined) return;
    take(page.threads);
    isLoaded.value = true;
    stop = follow(
      THREADS_CHANGED,
      { after: page.threads.changesCursor },
      ({ threadsChanged: event }) => {
        if (event.__typename === 'ThreadUpdated') byId.set(event.thread.id, event.thread);
        if (event.__typename === 'ThreadUpdated') gone.delete(event.thread.id);
        if (event.__typename === 'ThreadRemoved') lose(event.threadId);
        return { cursor: event.cursor, isOver: false };
      },
      () => undefined,
    );
  }

  function lose(threadId: string): void {
    byId.delete(threadId);
    gone.add(threadId);
  }

  /** Forget everything: somebody else may sign in. */
  function close(): void {
    generation += 1;
    isOpen = false;
    stop?.();
    stop = null;
    byId.clear();
    gone.clear();
    isLoaded.value = hasMore.value = false;
    end = null;
  }

  /** Load the next page, once. */
  async function loadMore(): Promise<void> {
    if (!hasMore.value) return;
    const own = generation;
    loading ??= ask(THREADS, { first: PAGE, after: end })
      .then(({ threads }) => {
        if (own === generation) take(threads);
      })
      .finally(() => {
        loading = null;
      });
    await loading;
  }

  function take(page: {
    nodes: Thread[];
    pageInfo: { hasNextPage: boolean; endCursor?: string | null };
  }): void {
    for (const thread of page.nodes) if (!byId.has(thread.id)) byId.set(thread.id, thread);
    hasMore.value = page.pageInfo.hasNextPage;
    end = page.pageInfo.endCursor ?? null;
  }

  async function create(title: string): Promise<Thread> {
    const { createThread: made } = await ask(CREATE_THREAD, { input: { title } });
    if (made.__typename !== 'CreateThreadSuccess') throw new Refused(made.message, made.code);
    byId.set(made.thread.id, made.thread);
    return made.thread;
  }

  async function rename(threadId: string, title: string): Promise<void> {
    const { updateThread: made } = await ask(RENAME_THREAD, { input: { threadId, title } });
    if (made.__typename !== 'UpdateThreadSuccess') throw new Refused(made.message, made.code);
    byId.set(threadId, made.thread);
  }

  async function remove(threadId: string): Promise<void> {
    const { deleteThread: made } = await ask(DELETE_THREAD, { input: { threadId } });
    if (made.__typename !== 'DeleteThreadSuccess') throw new Refused(made.message, made.code);
    lose(threadId);
  }

  async function restore(threadId: string): Promise<void> {
    const { restoreThread: made } = await ask(RESTORE_THREAD, { input: { threadId } });
    if (made.__typename !== 'RestoreThreadSuccess') throw new Refused(made.message, made.code);
    gone.delete(threadId);
    byId.set(threadId, made.thread);
  }

  return { byId, gone, list, isLoaded, hasMore, open, close, loadMore, create, rename, remove, restore };
});
