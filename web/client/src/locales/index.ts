import { createI18n } from 'vue-i18n';

import en from './en';
import ru from './ru';

export const LANGUAGES = ['en', 'ru'] as const;
export type Language = (typeof LANGUAGES)[number];

/** The browser's language where it is known here, else English. */
const locale =
  navigator.languages.map((tag) => LANGUAGES.find((each) => tag.startsWith(each))).find((each) => each !== undefined) ?? 'en';

const MOMENT = { dateStyle: 'medium', timeStyle: 'short' } as const;

export const i18n = createI18n<[typeof en], Language, false>({
  legacy: false,
  locale,
  fallbackLocale: 'en',
  messages: { en, ru },
  datetimeFormats: { en: { moment: MOMENT }, ru: { moment: MOMENT } },
});
