import { type RouteLocation, createRouter, createWebHistory } from 'vue-router';

import { tokens } from './api/client';
import ChatView from './views/ChatView.vue';
import SignInView from './views/SignInView.vue';

/** Where a search has found something, its address says so: `?at=` a cursor, `&message=` an id. */
function searched({ params, query }: RouteLocation): Record<string, unknown> {
  const [at, target] = [query['at'], query['message']].map((value) => (typeof value === 'string' ? value : null));
  return { threadId: params['threadId'], at, target };
}

/** The server gives the page at each of these addresses: see `api/web_client.py`. */
export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', name: 'new', component: ChatView },
    { path: '/t/:threadId([-0-9a-fA-F]{36})', name: 'thread', component: ChatView, props: searched },
    // Few ever see it: it comes when it is asked for.
    { path: '/admin', name: 'admin', component: () => import('./views/AdminView.vue') },
    { path: '/sign-in', name: 'sign-in', component: SignInView },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
});

router.beforeEach((to) => {
  const isSignedIn = tokens.get() !== null;
  if (!isSignedIn && to.name !== 'sign-in') return { name: 'sign-in', query: to.path === '/' ? {} : { next: to.fullPath } };
  if (isSignedIn && to.name === 'sign-in') return { name: 'new' };
  return true;
});
