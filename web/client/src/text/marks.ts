export interface Piece {
  text: string;
  isMarked: boolean;
}

/** A text in pieces, some of them marked; `highlights` are ranges in code points. */
export function marked(text: string, highlights: readonly { start: number; end: number }[]): Piece[] {
  const points = [...text];
  const pieces: Piece[] = [];
  let place = 0;
  for (const { start, end } of highlights) {
    if (start > place) pieces.push({ text: points.slice(place, start).join(''), isMarked: false });
    pieces.push({ text: points.slice(start, end).join(''), isMarked: true });
    place = end;
  }
  if (place < points.length) pieces.push({ text: points.slice(place).join(''), isMarked: false });
  return pieces;
}
