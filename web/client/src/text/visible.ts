/** Characters that turn the direction of a text, or cannot be seen, and so can make a name look like another. */
const HIDDEN = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A name of a file as it is, with marks where it would deceive. */
export function visible(name: string): string {
  return name.replace(HIDDEN, '\ufffd');
}
