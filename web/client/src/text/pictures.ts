/** Pictures that can do nothing but be looked at: SVG is not among them. */
const TYPES: ReadonlySet<string> = new Set(['image/avif', 'image/gif', 'image/jpeg', 'image/png', 'image/webp']);

export function isPicture(contentType: string): boolean {
  return TYPES.has(contentType.toLowerCase().split(';')[0]?.trim() ?? '');
}
