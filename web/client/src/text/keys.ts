/** Whether a key belongs to an input method: the Enter that ends a word sends nothing. Safari says only the number. */
export function isOfInputMethod(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}
