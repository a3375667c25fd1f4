import { defineStore } from 'pinia';

const PREFIX = 'gwp-chat.draft.';

/** What is written and not sent yet, by thread: it survives a reload, a crash and a server that is away. */
export const useDrafts = defineStore('drafts', () => {
  function get(place: string): string {
    return localStorage.getItem(PREFIX + place) ?? '';
  }

  function keep(place: string, text: string): void {
    if (text === '') localStorage.removeItem(PREFIX + place);
    else localStorage.setItem(PREFIX + place, text);
  }

  function move(from: string, to: string): void {
    keep(to, get(from));
    keep(from, '');
  }

  /** Leave none to who signs in next. */
  function forget(): void {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  }

  return { get, keep, move, forget };
});
