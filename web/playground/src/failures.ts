import type { Answer } from './endpoint';

/** What went wrong, as an answer that can be shown: the socket's close code, the response, or the errors. */
export async function failureOf(error: unknown): Promise<Answer> {
  if (Array.isArray(error)) return { errors: error as { message: string }[] };
  if (error instanceof CloseEvent) {
    const message = `The server closed the socket: ${error.code} ${error.reason}`.trim();
    return { errors: [{ message, extensions: { closeCode: error.code } }] };
  }
  const message = error instanceof Error ? error.message : 'The connection failed.';
  if (error instanceof Error && 'response' in error && error.response instanceof Response) {
    const body = error.response.bodyUsed ? '' : await error.response.text();
    return { errors: [{ message: `${message} ${body.slice(0, 500)}`.trim() }] };
  }
  return { errors: [{ message }] };
}
