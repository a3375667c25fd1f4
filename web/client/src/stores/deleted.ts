/** Chats that were deleted, for as long as somebody looks at them. */
import { ask } from '../api/client';
import type { DeletedThreadsQuery } from '../api/gql/graphql';
import { DELETED_THREADS } from '../api/operations';
import { usePages } from './pages';

export type DeletedThread = DeletedThreadsQuery['threads']['nodes'][number];

export function useDeleted() {
  return usePages<DeletedThread>(async (first, after) => (await ask(DELETED_THREADS, { first, after })).threads);
}
