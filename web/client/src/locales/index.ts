import { createI18n } from 'vue-i18n';

import en from './en';
import ru from './ru';

/** The browser's language where it is known here, else English. */
const locale = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => ['en', 'ru'].includes(tag)) ?? 'en';

document.documentElement.lang = locale;

export const i18n = createI18n({ legacy: false, locale, fallbackLocale: 'en', messages: { en, ru } });
