/** `$…$`, `$$…$$`, `\(…\)` and `\[…\]`: marked in the HTML, and set once the library for it is there. */
import DOMPurify from 'dompurify';
import type MarkdownIt from 'markdown-it';

const INLINE = /^(?:\$(?![\s$])((?:\\.|[^\\$\n])+?)(?<!\s)\$(?!\d)|\\\(([\s\S]+?)\\\))/;
const DISPLAY = /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])/;

export function addMath(markdown: InstanceType<typeof MarkdownIt>): void {
  markdown.inline.ruler.before('escape', 'math', (state, silent) => {
    const first = state.src[state.pos];
    if (first !== '$' && first !== '\\') return false;
    const rest = state.src.slice(state.pos);
    const display = DISPLAY.exec(rest);
    const found = display ?? INLINE.exec(rest);
    if (found === null) return false;
    if (!silent) {
      const token = state.push('math', '', 0);
      token.content = (found[1] ?? found[2] ?? '').trim();
      token.meta = { isDisplay: display !== null };
    }
    state.pos += found[0].length;
    return true;
  });
  markdown.renderer.rules['math'] = (all, index) => {
    const token = all[index];
    const formula = markdown.utils.escapeHtml(token?.content ?? '');
    const display = token?.meta?.['isDisplay'] === true ? ' data-display="true"' : '';
    return `<span data-math="true"${display}>${formula}</span>`;
  };
}

/** KaTeX is not trusted more than the model: MathML that can do nothing, without styles and links. */
function cleanMath(html: string): string {
  return DOMPurify.sanitize(html, { USE_PROFILES: { mathMl: true }, ADD_TAGS: ['semantics'], FORBID_ATTR: ['style', 'href'] });
}

/** Set the formulas of an element. MathML alone: it needs neither fonts nor styles of its own. */
export async function setMath(element: HTMLElement): Promise<void> {
  const formulas = element.querySelectorAll<HTMLElement>('[data-math]');
  if (formulas.length === 0) return;
  const { default: katex } = await import('katex');
  for (const each of formulas) {
    const formula = each.textContent ?? '';
    each.removeAttribute('data-math');
    const displayMode = each.dataset['display'] === 'true';
    try {
      each.innerHTML = cleanMath(katex.renderToString(formula, { displayMode, output: 'mathml', maxExpand: 200 }));
    } catch {
      each.textContent = formula; // no formula, or one that is not finished
    }
  }
}
