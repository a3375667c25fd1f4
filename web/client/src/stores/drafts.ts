import { defineStore } from 'pinia';
import { shallowReactive } from 'vue';

import { tokens } from '../api/client';
import { forgetOwn, ownKey } from './own';

/** What is written and not sent yet, by user and thread: it survives a reload, a crash and a server that is away. */
export const useDrafts = defineStore('drafts', () => {
  /** These survive none of it but the server: browsers keep no files for a page. */
  const files = shallowReactive(new Map<string, readonly File[]>());

  const keyOf = (place: string): string => ownKey('draft', place);

  function get(place: string): string {
    return localStorage.getItem(keyOf(place)) ?? '';
  }

  function keep(place: string, text: string): void {
    if (text === '' || tokens.get() === null) localStorage.removeItem(keyOf(place));
    else localStorage.setItem(keyOf(place), text);
  }

  function filesOf(place: string): readonly File[] {
    return files.get(keyOf(place)) ?? [];
  }

  function keepFiles(place: string, kept: readonly File[]): void {
    if (kept.length === 0) files.delete(keyOf(place));
    else files.set(keyOf(place), kept);
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

  /** Leave nothing of who is signed in. */
  function forget(): void {
    forgetOwn();
    for (const key of files.keys()) if (key.startsWith(keyOf(''))) files.delete(key);
  }

  return { get, keep, filesOf, keepFiles, addFiles, move, forget };
});
