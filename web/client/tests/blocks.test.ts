import { describe, expect, it } from 'vitest';

import { Blocks } from '../src/text/blocks';

const TEXT = `# A heading

A paragraph
of two lines.

- one

  still one
- two

> said

\`\`\`python
first = 1

second = 2
\`\`\`

$$
x

y
$$

| a | b |
| - | - |

1. first

2. second

    indented code

The end`;

/** The blocks of a text that comes in pieces of this size. */
function grown(size: number): Blocks {
  const blocks = new Blocks();
  for (let end = size; end < TEXT.length + size; end += size) blocks.take(TEXT.slice(0, end));
  return blocks;
}

describe('Blocks', () => {
  it.each([1, 2, 3, 7, 40, 1000])('makes the same of pieces of %i characters', (size) => {
    expect(grown(size).done).toEqual(grown(1).done);
    expect([...grown(size).done, grown(size).last].join('')).toBe(TEXT);
  });

  it('changes nothing that is done', () => {
    const blocks = new Blocks();
    let before: string[] = [];
    for (let end = 1; end <= TEXT.length; end += 1) {
      blocks.take(TEXT.slice(0, end));
      expect(blocks.done.slice(0, before.length)).toEqual(before);
      before = [...blocks.done];
    }
  });

  it('keeps together what belongs together', () => {
    const { done } = grown(1);
    expect(done.map((block) => block.split('\n')[0])).toEqual(['# A heading', 'A paragraph', '```python']);
    expect(done.find((block) => block.startsWith('```'))).toContain('second = 2\n```');
    expect(done.find((block) => block.startsWith('A paragraph'))).toContain('> said');
  });

  it('ends a fence with one of its own kind only', () => {
    const blocks = new Blocks();
    blocks.take('````\n```\n\ncode\n````\n\nprose\n\nmore\n');
    expect(blocks.done).toEqual(['````\n```\n\ncode\n````\n\n', 'prose\n\n']);
  });

  it('cuts a long list between its items, where their numbers allow it', () => {
    const parts = (lines: string[]): number[] => {
      const blocks = new Blocks();
      blocks.take(`${lines.join('\n')}\n`);
      expect([...blocks.done, blocks.last].join('')).toBe(`${lines.join('\n')}\n`);
      return [...blocks.done, blocks.last].map((part) => part.trim().split('\n').length);
    };
    const count = Array.from({ length: 30 }, (_, place) => place);
    expect(parts(count.map((place) => `- item ${place}`))).toEqual([12, 12, 6]);
    expect(parts(count.map((place) => `${place + 3}. item`))).toEqual([12, 12, 6]);
    expect(parts(count.map(() => '1. item'))).toEqual([30]);
    expect(parts(['Some things:', ...count.map((place) => `* item ${place}\n  of two lines`)])).toHaveLength(5);
  });

  it('begins anew when the text is another', () => {
    const blocks = grown(5);
    blocks.take('Something\n\nelse\n');
    expect([...blocks.done, blocks.last]).toEqual(['Something\n\n', 'else\n']);
  });
});
