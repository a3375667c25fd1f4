/** A list that comes page by page, for as long as somebody looks at it. */
import { ref, shallowRef } from 'vue';

interface Page<Item> {
  nodes: Item[];
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

const SIZE = 50;

export function usePages<Item extends { id: string }>(ask: (first: number, after: string | null) => Promise<Page<Item>>) {
  const items = shallowRef<Item[]>([]);
  const hasMore = ref(true);
  const isLoading = ref(false);
  let end: string | null = null;

  /** Load the next page, unless one is being loaded. */
  async function loadMore(): Promise<void> {
    if (isLoading.value) return;
    isLoading.value = true;
    try {
      const page = await ask(SIZE, end);
      const known = new Set(items.value.map(({ id }) => id));
      items.value = [...items.value, ...page.nodes.filter(({ id }) => !known.has(id))];
      hasMore.value = page.pageInfo.hasNextPage;
      end = page.pageInfo.endCursor ?? null;
    } finally {
      isLoading.value = false;
    }
  }

  /** Put an item in its place, or before all others if it is new. */
  function put(item: Item): void {
    const isKnown = items.value.some(({ id }) => id === item.id);
    items.value = isKnown ? items.value.map((each) => (each.id === item.id ? item : each)) : [item, ...items.value];
  }

  function drop(id: string): void {
    items.value = items.value.filter((item) => item.id !== id);
  }

  return { items, hasMore, isLoading, loadMore, put, drop };
}
