/** An answer as its reader puts it together. */
export class Answer {
  text = "";
  cursor = null;
  status = null;
  /** The types of the events, repetitions left out. */
  seen = [];

  /** Take the next event. */
  add(event) {
    if (event.__typename !== this.seen.at(-1)) this.seen.push(event.__typename);
    this.cursor = event.cursor;
    if (event.__typename === "RunDelta") this.text += event.text;
    if (event.__typename === "RunSnapshot") this.text = event.text;
    if (event.__typename === "CursorExpired") this.text = event.snapshot.text;
    if (event.__typename === "RunEnded") this.status = event.status;
  }
}
