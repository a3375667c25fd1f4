/** All accounts, for administrators, for as long as one looks at them. */
import { Refused, ask } from '../api/client';
import type { CreateUserInput, UpdateUserInput, UserPartsFragment } from '../api/gql/graphql';
import { CREATE_USER, UPDATE_USER, USERS } from '../api/operations';
import { usePages } from './pages';

export type User = UserPartsFragment;

export function useUsers() {
  const pages = usePages<User>(async (first, after) => (await ask(USERS, { first, after })).users);

  async function create(input: CreateUserInput): Promise<void> {
    const { createUser: made } = await ask(CREATE_USER, { input });
    if (made.__typename !== 'CreateUserSuccess') throw new Refused(made.message, made.code);
    pages.put(made.user);
  }

  /** Change what is named; the rest may have been changed by others meanwhile. */
  async function update(input: UpdateUserInput): Promise<void> {
    const { updateUser: made } = await ask(UPDATE_USER, { input });
    if (made.__typename !== 'UpdateUserSuccess') throw new Refused(made.message, made.code);
    pages.put(made.user);
  }

  return { ...pages, create, update };
}
