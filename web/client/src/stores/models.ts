import { defineStore } from 'pinia';
import { computed, ref, watch } from 'vue';

import { ask } from '../api/client';
import { MODELS } from '../api/operations';

export interface ModelChoice {
  id: string;
  name: string;
}

const KEY = 'gwp-chat.model';
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

  /** Learn what is offered; the fallback while the provider is away, or offers nothing. */
  async function load(): Promise<void> {
    try {
      const found = (await ask(MODELS, {})).models.map(({ id, name }) => ({ id, name: name ?? id }));
      models.value = found.length > 0 ? found : FALLBACK;
    } catch (error) {
      models.value = FALLBACK;
      if (FALLBACK.length === 0) throw error;
    }
  }

  return { models, chosen, load };
});
