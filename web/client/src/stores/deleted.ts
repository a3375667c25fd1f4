/** Chats that were deleted, for as long as somebody looks at them. */
import { ref } from 'vue';

import { ask } from '../api/client';
import type { AllThreadsQuery } from '../api/gql/graphql';
import { ALL_THREADS } from '../api/operations';

export type DeletedThread = AllThreadsQuery['threads']['nodes'][number];

const PAGE = 100;
const AT_ONCE = 20;

export function useDeleted() {
  const threads = ref<DeletedThread[]>([]);
  const hasMore = ref(true);
  let end: string | null = null;

  /** Load some more of them, the latest first. The server lists them among all others. */
  async function loadMore(): Promise<void> {
    const wanted = threads.value.length + AT_ONCE;
    while (hasMore.value && threads.value.length < wanted) {
      const { threads: page } = await ask(ALL_THREADS, { first: PAGE, after: end });
      threads.value = [...threads.value, ...page.nodes.filter(({ isDeleted }) => isDeleted)];
      hasMore.value = page.pageInfo.hasNextPage;
      end = page.pageInfo.endCursor ?? null;
    }
  }

  function forget(id: string): void {
    threads.value = threads.value.filter((thread) => thread.id !== id);
  }

  return { threads, hasMore, loadMore, forget };
}
