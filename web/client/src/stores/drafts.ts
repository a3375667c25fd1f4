import { defineStore } from 'pinia';
import { shallowReactive } from 'vue';

const PREFIX = 'gwp-chat.draft.';

/** What is written and not sent yet, by thread: it survives a reload, a crash and a server that is away. */
export const useDrafts = defineStore('drafts', () => {
  /** These survive none of it but the server: browsers keep no files for a page. */
  const files = shallowReactive(new Map<string, readonly File[]>());

  function get(place: string): string {
    return localStorage.getItem(PREFIX + place) ?? '';
  }

  function keep(place: string, text: string): void {
    if (text === '') localStorage.removeItem(PREFIX + place);
    else localStorage.setItem(PREFIX + place, text);
  }

  function filesOf(place: string): readonly File[] {
    return files.get(place) ?? [];
  }

  function keepFiles(place: string, kept: readonly File[]): void {
    if (kept.length === 0) files.delete(place);
    else files.set(place, kept);
  }

  function addFiles(place: string, added: Iterable<File>): void {
    keepFiles(place, [...filesOf(place), ...added]);
  }

  function move(from: string, to: string): void {
    keep(to, get(from));
    keep(from, '');
    keepFiles(to, filesOf(from));
    keepFiles(from, []);
  }

  /** Leave none to who signs in next. */
  function forget(): void {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
    files.clear();
  }

  return { get, keep, filesOf, keepFiles, addFiles, move, forget };
});
