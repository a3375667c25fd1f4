import { defineStore } from 'pinia';
import { ref, watch } from 'vue';

import { LANGUAGES, type Language, i18n } from '../locales';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const THEME = 'gwp-chat.theme';
const LANGUAGE = 'gwp-chat.language';

/** How the page is to look, in this browser. */
export const usePreferences = defineStore('preferences', () => {
  const theme = ref<Theme>(THEMES.find((each) => each === localStorage.getItem(THEME)) ?? 'system');
  const language = ref<Language>(
    LANGUAGES.find((each) => each === localStorage.getItem(LANGUAGE)) ?? i18n.global.locale.value,
  );

  watch(theme, (wanted) => localStorage.setItem(THEME, wanted));
  watch(language, (wanted) => localStorage.setItem(LANGUAGE, wanted));
  watch(
    [theme, language],
    () => {
      document.documentElement.dataset['theme'] = theme.value;
      document.documentElement.lang = language.value;
      i18n.global.locale.value = language.value;
    },
    { immediate: true },
  );

  return { theme, language };
});
