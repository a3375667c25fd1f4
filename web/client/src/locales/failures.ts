import { Refused, Unreachable } from '../api/client';
import { i18n } from '.';

/** What to tell people of a failure: in their language where it is a known one, else in the server's words. */
export function sentenceOf(error: Error): string {
  const { t, te } = i18n.global;
  if (error instanceof Unreachable) return t('unreachable');
  const key = error instanceof Refused && typeof error.code === 'string' ? `failures.${error.code}` : '';
  return key !== '' && te(key) ? t(key) : error.message;
}
