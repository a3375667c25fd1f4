import { defineStore } from 'pinia';
import { computed, ref, watch } from 'vue';

import { Refused, Unreachable, ask } from '../api/client';
import { MODELS } from '../api/operations';

export interface ModelChoice {
  id: string;
  name: string;
}

const KEY = 'gwp-chat.model';
const SHORTEST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
const FALLBACK: ModelChoice[] = (import.meta.env.VITE_OPENAI_FALLBACK_MODELS ?? '')
  .split(',')
  .map((id) => id.trim())
  .filter((id) => id !== '')
  .map((id) => ({ id, name: id }));

/** The models that can be asked, and the one that is. */
export const useModels = defineStore('models', () => {
  const models = ref<ModelChoice[]>([]);
  const wanted = ref(localStorage.getItem(KEY) ?? '');
  /** One that is no more offered is not kept. */
  const chosen = computed({
    get: () => models.value.find(({ id }) => id === wanted.value)?.id ?? models.value[0]?.id ?? '',
    set: (id: string) => {
      wanted.value = id;
    },
  });
  watch(wanted, (id) => localStorage.setItem(KEY, id));

  /** Learn what is offered, however long the provider is away; meanwhile there is the fallback. */
  async function load(isWanted: () => boolean): Promise<void> {
    models.value = FALLBACK;
    for (let wait = SHORTEST_WAIT_MS; isWanted(); wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      try {
        const found = (await ask(MODELS, {})).models.map(({ id, name }) => ({ id, name: name ?? id }));
        if (!isWanted()) return;
        models.value = found.length > 0 ? found : FALLBACK;
        if (found.length > 0) return;
      } catch (error) {
        if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  return { models, chosen, load };
});
