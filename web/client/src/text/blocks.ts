/** Cuts growing Markdown into blocks that stay as they are, so that only the last one is rendered again. */

const FENCE = /^ {0,3}(`{3,}|~{3,}|\$\$)/;
/** What goes on with a list, a quotation, a table or an indented text across a blank line. */
const CONTINUES = /^(\s|[-*+] |\d{1,9}[.)] |>|\|)/;
/** An item of a list that stands in no other. */
const ITEM = /^(?:([-*+])|(\d{1,9})[.)]) /;
/** A list is cut into parts of so many lines. */
const LONG_LIST = 12;

export class Blocks {
  /** Those that will not change any more. */
  readonly done: string[] = [];
  private text = '';
  /** Where the last block begins, and the line that has not been looked at. */
  private start = 0;
  private next = 0;
  private fence = '';
  /** Where a blank line ended, after which a new block may begin. */
  private cut = -1;
  /** Of the last block: how many lines it has, and its last item that stands in no other. */
  private lines = 0;
  private item: Item | null = null;

  /** The last block, which may still grow. */
  get last(): string {
    return this.text.slice(this.start);
  }

  /** Take the whole text as it is now; anew, if it is not what was there with more at its end. */
  take(text: string): void {
    if (!text.startsWith(this.text)) this.reset();
    this.text = text;
    // The last line may still grow: it is looked at when the next one begins.
    for (let end = text.indexOf('\n', this.next); end >= 0; end = text.indexOf('\n', this.next)) {
      this.look(text.slice(this.next, end), this.next);
      this.next = end + 1;
    }
  }

  private reset(): void {
    this.done.length = 0;
    this.start = this.next = 0;
    this.fence = '';
    this.cut = -1;
    this.lines = 0;
    this.item = null;
  }

  private look(line: string, at: number): void {
    const mark = FENCE.exec(line)?.[1];
    if (this.fence !== '') {
      if (mark !== undefined && mark.startsWith(this.fence) && line.trim() === mark) this.fence = '';
      return;
    }
    if (line.trim() === '') {
      this.cut = at + line.length + 1;
      return;
    }
    const item = itemOf(line);
    const isLongList = this.lines >= LONG_LIST && item !== null && goesOn(this.item, item);
    if (isLongList || (this.cut >= 0 && !CONTINUES.test(line))) {
      this.done.push(this.text.slice(this.start, at));
      this.start = at;
      this.lines = 0;
      this.item = null;
    }
    this.item = item ?? this.item;
    this.lines += 1;
    this.cut = -1;
    if (mark !== undefined) this.fence = mark;
  }
}

interface Item {
  bullet: string;
  number: number;
}

function itemOf(line: string): Item | null {
  const found = ITEM.exec(line);
  return found === null ? null : { bullet: found[1] ?? '', number: Number(found[2] ?? NaN) };
}

/** Whether a list may be cut between these items: each part of it begins with a number of its own. */
function goesOn(before: Item | null, item: Item): boolean {
  if (before === null || before.bullet !== item.bullet) return false;
  return item.bullet !== '' || item.number === before.number + 1;
}
