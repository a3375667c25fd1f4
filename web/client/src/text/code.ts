/** Blocks of code: colours, once the library for it is there, and a button that copies. */

import { COPIED_MS, canCopy, copyText } from './clipboard';

export interface Labels {
  copy: string;
  copied: string;
}

/** Longer ones stay plain: colouring them would hold the page. */
const LONGEST_COLOURED = 50_000;

const OPEN_FENCE = /^ {0,3}(`{3,}|~{3,})([^`\n]*)\n/;

/** Show a block of code that has not ended yet as mere text, which costs little; false if this is none. */
export function showGrowingCode(element: HTMLElement, text: string): boolean {
  const fence = OPEN_FENCE.exec(text);
  if (fence === null) return false;
  const body = text.slice(fence[0].length);
  if (body.includes(`\n${fence[1] ?? ''}`)) return false;
  let code = element.querySelector<HTMLElement>(':scope > pre[data-growing] > code');
  if (code === null) {
    const block = document.createElement('pre');
    block.dataset['growing'] = 'true';
    block.dataset['language'] = (fence[2] ?? '').trim().split(/\s+/)[0] ?? '';
    code = block.appendChild(document.createElement('code'));
    element.replaceChildren(block);
  }
  code.textContent = body;
  return true;
}

export function addCopyButtons(element: HTMLElement, labels: Labels): void {
  for (const block of element.querySelectorAll<HTMLElement>('pre:not([data-ready])')) {
    block.dataset['ready'] = 'true';
    const code = block.querySelector('code');
    if (code === null) continue;
    block.tabIndex = 0;
    const bar = document.createElement('div');
    bar.className = 'code-bar';
    const language = document.createElement('span');
    language.textContent = block.dataset['language'] ?? '';
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = labels.copy;
    button.addEventListener('click', () => void copy(code.textContent ?? '', button, labels));
    bar.append(language);
    if (canCopy) bar.append(button);
    block.prepend(bar);
  }
}

async function copy(text: string, button: HTMLButtonElement, labels: Labels): Promise<void> {
  if (!(await copyText(text))) return;
  button.textContent = labels.copied;
  setTimeout(() => {
    button.textContent = labels.copy;
  }, COPIED_MS);
}

export async function colour(element: HTMLElement): Promise<void> {
  const blocks = element.querySelectorAll<HTMLElement>('pre[data-language] > code:not(.hljs)');
  const wanted = [...blocks].filter((code) => code.parentElement?.dataset['language'] !== '');
  if (wanted.length === 0) return;
  const { default: highlight } = await import('highlight.js/lib/common');
  for (const code of wanted) {
    const language = code.parentElement?.dataset['language'] ?? '';
    const text = code.textContent ?? '';
    if (highlight.getLanguage(language) === undefined || text.length > LONGEST_COLOURED) continue;
    code.innerHTML = highlight.highlight(text, { language, ignoreIllegals: true }).value;
    code.classList.add('hljs');
  }
}
