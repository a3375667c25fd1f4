/** What this browser keeps for each user: nobody sees what somebody else wrote, whoever signs in next. */
import { tokens } from '../api/client';

type Kind = 'draft' | 'sending';

/** Under what to keep something of who is signed in, of one chat. */
export function ownKey(kind: Kind, place: string): string {
  return `gwp-chat.${kind}.${tokens.get()?.userId ?? ''}.${place}`;
}

/** Leave nothing of who is signed in. */
export function forgetOwn(): void {
  const own = (['draft', 'sending'] as const).map((kind) => ownKey(kind, ''));
  for (const key of Object.keys(localStorage)) if (own.some((each) => key.startsWith(each))) localStorage.removeItem(key);
}
