/** Operations that carry files, as the GraphQL multipart request specification has it. */
import { type AnyVariables, type TypedDocumentNode, stringifyDocument } from '@urql/core';

import { BASE, Refused, Unreachable, failureOf, withToken } from './client';

/** Told what part of the files, 0 to 1, has gone out. */
export type Progress = (part: number) => void;

/** Nobody wants it any more. */
export class Aborted extends Error {}

/**
 * The data of an operation with files, each at a path such as `variables.input.attachments.0.file`. Rejects as
 * `ask` does, and with `Aborted`.
 */
export function askWithFiles<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  files: ReadonlyMap<string, File>,
  progress: Progress,
  signal: AbortSignal,
): Promise<Data> {
  return withToken((token) => {
    const form = new FormData();
    form.append('operations', JSON.stringify({ query: stringifyDocument(document), variables }));
    form.append('map', JSON.stringify(Object.fromEntries([...files.keys()].map((path, number) => [number, [path]]))));
    [...files.values()].forEach((file, number) => form.append(String(number), file, file.name));
    return post<Data>(form, token, progress, signal);
  });
}

/** By XMLHttpRequest: fetch does not tell how far an upload is. */
function post<Data>(form: FormData, token: string, progress: Progress, signal: AbortSignal): Promise<Data> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    request.open('POST', new URL('/graphql', BASE));
    request.setRequestHeader('Authorization', `Bearer ${token}`);
    request.setRequestHeader('Accept', 'application/graphql-response+json, application/json');
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0);
    request.onload = () => {
      const answer = request.response as { data?: Data; errors?: { message: string }[] } | null;
      const failure = failureOf(answer?.errors ?? []);
      if (failure !== null) reject(failure);
      else if (answer?.data == null) reject(new (request.status < 500 ? Refused : Unreachable)(request.statusText));
      else resolve(answer.data);
    };
    request.onerror = () => reject(new Unreachable());
    request.onabort = () => reject(new Aborted());
    request.onloadend = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort);
    if (signal.aborted) return reject(new Aborted());
    request.send(form);
  });
}
