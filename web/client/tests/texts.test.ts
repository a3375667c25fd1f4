import { describe, expect, it } from 'vitest';

import { marked } from '../src/text/marks';
import { isPicture } from '../src/text/pictures';
import { sizeOf } from '../src/text/sizes';
import { titleOf } from '../src/text/titles';
import { type Answering, shown, versionsOf } from '../src/text/versions';
import en from '../src/locales/en';
import ru from '../src/locales/ru';

describe('marked', () => {
  it('counts code points, not the halves of an emoji', () => {
    expect(marked('🦛 and 🦛!', [{ start: 6, end: 7 }])).toEqual([
      { text: '🦛 and ', isMarked: false },
      { text: '🦛', isMarked: true },
      { text: '!', isMarked: false },
    ]);
  });

  it('takes ranges that touch, and none', () => {
    expect(marked('ab', [{ start: 0, end: 1 }, { start: 1, end: 2 }]).map(({ text }) => text)).toEqual(['a', 'b']);
    expect(marked('ab', [])).toEqual([{ text: 'ab', isMarked: false }]);
  });
});

describe('titleOf', () => {
  it('is the first line, cut at a word', () => {
    expect(titleOf('\n  What is it? \nMore')).toBe('What is it?');
    const long = titleOf('word '.repeat(40));
    expect(long.length).toBeLessThanOrEqual(61);
    expect(long).toMatch(/word…$/);
    expect(titleOf('x'.repeat(100))).toBe(`${'x'.repeat(60)}…`);
    expect(titleOf('👩‍👩‍👧'.repeat(100))).toBe(`${'👩‍👩‍👧'.repeat(60)}…`);
  });
});

describe('sizeOf', () => {
  it.each([
    [0, '0B'],
    [999, '999B'],
    [1_000, '1 kB'],
    [1_234_567, '1.2 MB'],
    [5e12, '5,000 GB'],
  ])('says %i bytes as %s', (bytes, said) => {
    expect(sizeOf(bytes, 'en')).toBe(said);
  });
});

describe('isPicture', () => {
  it('knows those that can do nothing', () => {
    expect(['image/png', 'IMAGE/JPEG; q=1'].every(isPicture)).toBe(true);
    expect(['image/svg+xml', 'text/html', '', 'image/png2'].some(isPicture)).toBe(false);
  });
});

describe('versions', () => {
  const answer = (id: string, parent: string | null): Answering => ({
    id,
    sender: 'ASSISTANT',
    parent: parent === null ? null : { id: parent },
  });
  const asked: Answering = { id: 'q', sender: 'USER', parent: null };
  const messages = [asked, answer('a', 'q'), answer('b', 'q'), answer('c', 'r'), answer('d', null)];

  it('shows the newest answer to a question, or the chosen one', () => {
    expect(shown(messages, new Set()).map(({ id }) => id)).toEqual(['q', 'b', 'c', 'd']);
    expect(shown(messages, new Set(['a'])).map(({ id }) => id)).toEqual(['q', 'a', 'c', 'd']);
  });

  it('shows each answer behind its question, though another was asked meanwhile', () => {
    const other: Answering = { id: 'q2', sender: 'USER', parent: null };
    const said = [asked, other, answer('a', 'q'), answer('b', 'q2'), answer('early', 'not loaded')];
    expect(shown(said, new Set()).map(({ id }) => id)).toEqual(['q', 'a', 'q2', 'b', 'early']);
  });

  it('counts those that have others beside them', () => {
    expect([...versionsOf(messages)]).toEqual([
      ['a', { ids: ['a', 'b'], place: 0 }],
      ['b', { ids: ['a', 'b'], place: 1 }],
    ]);
  });
});

describe('languages', () => {
  const placeholders = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();

  function compare(one: object, other: object): void {
    expect(Object.keys(other)).toEqual(Object.keys(one));
    for (const [key, value] of Object.entries(one)) {
      const same = (other as Record<string, string | object>)[key] ?? '';
      if (typeof value === 'object') compare(value as object, same as object);
      else expect(placeholders(String(same)), key).toEqual(placeholders(String(value)));
    }
  }

  it('say the same in both', () => compare(en, ru));
});
