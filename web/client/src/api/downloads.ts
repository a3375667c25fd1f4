/** Files that the server gives to whoever has a token. */
import { BASE, Refused, Unreachable, withToken } from './client';
import { SignedOut } from './tokens';

export interface Download {
  content: Blob;
  /** As the server names it, if it does. */
  filename: string | null;
}

/** Whether a file is with the server: nobody else is ever sent a token. */
export function isOwn(address: string): boolean {
  return new URL(address, BASE).origin === new URL(BASE).origin;
}

/** A file of the server's. Rejects with `SignedOut`, `Unreachable` or `Refused`. */
export async function download(address: string): Promise<Download> {
  if (!isOwn(address)) throw new Refused(address);
  return withToken(async (token) => {
    let response: Response;
    try {
      response = await fetch(new URL(address, BASE), { headers: { Authorization: `Bearer ${token}` } });
      if (response.ok) return { content: await response.blob(), filename: filenameOf(response) };
    } catch (error) {
      throw new Unreachable(String(error));
    }
    if (response.status === 401) throw new SignedOut();
    const body = (await response.json().catch(() => null)) as { detail?: unknown } | null;
    const reason = typeof body?.detail === 'string' ? body.detail : response.statusText;
    throw response.status >= 500 ? new Unreachable(reason) : new Refused(reason);
  });
}

/** Have the browser save it, as `filename` unless the server names it. */
export async function save(address: string, filename: string): Promise<void> {
  const file = await download(address);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file.content);
  link.download = file.filename ?? filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once the browser has certainly read it
}

/** https://www.rfc-editor.org/rfc/rfc6266: the encoded name wins. */
function filenameOf(response: Response): string | null {
  const header = response.headers.get('Content-Disposition') ?? '';
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(header)?.[1];
  if (encoded !== undefined) return decodeURIComponent(encoded);
  return /filename="([^"]*)"/i.exec(header)?.[1] ?? null;
}
