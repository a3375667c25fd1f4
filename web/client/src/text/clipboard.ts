/** How long a button says that something was copied. */
export const COPIED_MS = 2000;

/** Pages that come by plain HTTP from another machine have no clipboard. */
export const canCopy = 'clipboard' in navigator;

/** Whether the text is in the clipboard now; where that is not allowed, it can still be selected. */
export async function copyText(text: string): Promise<boolean> {
  return navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
}
