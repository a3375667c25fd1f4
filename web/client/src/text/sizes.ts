const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;

/** A number of bytes for people, such as `1.2 MB`. */
export function sizeOf(bytes: number, locale: string): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const format: Intl.NumberFormatOptions = {
    style: 'unit',
    unit: UNITS[power] ?? 'byte',
    unitDisplay: power === 0 ? 'narrow' : 'short', // the short name of bytes is "byte"
    maximumFractionDigits: 1,
  };
  return new Intl.NumberFormat(locale, format).format(bytes / 1000 ** power);
}
