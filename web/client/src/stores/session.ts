import { defineStore } from 'pinia';
import { computed, ref } from 'vue';

import * as client from '../api/client';
import type { ViewerQuery } from '../api/gql/graphql';
import { VIEWER } from '../api/operations';

type Viewer = NonNullable<ViewerQuery['viewer']>;

/** Who is signed in. */
export const useSession = defineStore('session', () => {
  const viewer = ref<Viewer | null>(null);
  const isSignedIn = ref(client.tokens.get() !== null);
  let isGoing = false;
  const name = computed(() => viewer.value?.user.fullName || viewer.value?.user.username || '');

  const isAdmin = computed(() => viewer.value?.permissions.includes('MANAGE_USERS') ?? false);

  async function load(): Promise<void> {
    viewer.value = (await client.ask(VIEWER, {})).viewer ?? null;
  }

  async function signIn(username: string, password: string): Promise<void> {
    await client.signIn(username, password);
    isSignedIn.value = true;
  }

  async function createFirst(username: string, password: string): Promise<void> {
    await client.register(username, password);
    await signIn(username, password);
  }

  /** Sign out because one wants to. */
  function signOut(): Promise<void> {
    isGoing = true;
    return client.signOut();
  }

  /** Forget who was signed in; the stores of threads follow. */
  function forget(): void {
    isGoing = false;
    isSignedIn.value = false;
    viewer.value = null;
  }

  return { viewer, name, isAdmin, isSignedIn, load, signIn, createFirst, signOut, isLeaving: () => isGoing, forget };
});
