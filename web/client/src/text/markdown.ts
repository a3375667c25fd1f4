/** Markdown to HTML that can do nothing but be looked at: what a model writes is not trusted. */
import DOMPurify from 'dompurify';
import MarkdownIt from 'markdown-it';

import { addMath } from './math';

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false });
// Bare words such as `file.py` are no addresses.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
// Pictures would tell others who reads this, and when: they are links.
markdown.renderer.rules['image'] = (all, index) => {
  const token = all[index];
  const address = markdown.utils.escapeHtml(String(token?.attrGet('src') ?? ''));
  return `<a href="${address}">${markdown.utils.escapeHtml(token?.content || address)}</a>`;
};
markdown.renderer.rules['fence'] = (all, index) => {
  const token = all[index];
  const language = markdown.utils.escapeHtml(token?.info.trim().split(/\s+/)[0] ?? '');
  const code = markdown.utils.escapeHtml(token?.content ?? '');
  return `<pre data-language="${language}"><code>${code}</code></pre>\n`;
};
markdown.renderer.rules['table_open'] = () => '<div class="table"><table>\n';
markdown.renderer.rules['table_close'] = () => '</table></div>\n';
addMath(markdown);

const purify = DOMPurify(window);
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
});

const ALLOWED = {
  ALLOWED_TAGS: [
    ...['a', 'blockquote', 'br', 'code', 'del', 'div', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol'],
    ...['p', 'pre', 's', 'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
  ],
  ALLOWED_ATTR: ['href', 'class', 'start', 'data-language', 'data-math', 'data-display'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  // Those whose values are no addresses.
  ADD_URI_SAFE_ATTR: ['class', 'start', 'data-language', 'data-math', 'data-display'],
  ALLOW_DATA_ATTR: false,
};

export function toHtml(text: string): string {
  return purify.sanitize(markdown.render(text), ALLOWED);
}
