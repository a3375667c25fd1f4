/** The API's own address: the page is served from it. */
export const ENDPOINT = new URL(location.pathname, location.origin).href;

export interface GraphQLRequest {
  query: string;
  variables?: unknown;
  operationName?: string | null;
}

/** The whole answer to a query or mutation. Throws an Error that says what came instead of one. */
export async function post(request: GraphQLRequest, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json;q=0.9',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  try {
    return JSON.parse(text) as Answer;
  } catch {
    throw new Error(`The server answered ${response.status} without JSON: ${text.slice(0, 200)}`);
  }
}

export interface Answer {
  data?: Record<string, unknown> | null;
  errors?: readonly { message: string; extensions?: { code?: string; closeCode?: number } }[];
}

/** Whether an answer, or the end of a stream, says that the token is not valid. */
export function refusesToken({ errors = [] }: Answer): boolean {
  return errors.some(({ extensions: { code, closeCode } = {} }) => code === 'UNAUTHENTICATED' || closeCode === 4401 || closeCode === 4403);
}

export function bearer(token: string | null): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}
