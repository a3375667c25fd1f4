/** All accounts, for administrators, for as long as one looks at them. */
import { ref } from 'vue';

import { Refused, ask } from '../api/client';
import type { UserPartsFragment } from '../api/gql/graphql';
import { CREATE_USER, UPDATE_USER, USERS } from '../api/operations';

export type User = UserPartsFragment;

/** What an administrator says of an account; a password of nothing stays as it is. */
export interface UserDetails {
  username: string;
  password: string;
  email: string;
  fullName: string;
  roles: string[];
  allowedProducts: string[];
  allowedAgents: string[];
  isActive: boolean;
}

const PAGE = 50;

export function useUsers() {
  const users = ref<User[]>([]);
  const hasMore = ref(true);
  let end: string | null = null;

  /** Load the next page; they come by username. */
  async function loadMore(): Promise<void> {
    const { users: page } = await ask(USERS, { first: PAGE, after: end });
    users.value = [...users.value, ...page.nodes];
    hasMore.value = page.pageInfo.hasNextPage;
    end = page.pageInfo.endCursor ?? null;
  }

  async function create(details: UserDetails): Promise<void> {
    const { createUser: made } = await ask(CREATE_USER, { input: details });
    if (made.__typename !== 'CreateUserSuccess') throw new Refused(made.message);
    users.value = [made.user, ...users.value];
  }

  async function update(userId: string, { username: _fixed, password, ...details }: UserDetails): Promise<void> {
    const input = { userId, ...details, password: password === '' ? null : password };
    const { updateUser: made } = await ask(UPDATE_USER, { input });
    if (made.__typename !== 'UpdateUserSuccess') throw new Refused(made.message);
    users.value = users.value.map((user) => (user.id === userId ? made.user : user));
  }

  return { users, hasMore, loadMore, create, update };
}
