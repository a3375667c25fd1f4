import type { Fetcher, FetcherParams } from '@graphiql/toolkit';
import { Kind, type OperationDefinitionNode, parse } from 'graphql';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';

import { type Answer, bearer, ENDPOINT, post } from './endpoint';
import type { EventLog } from './event-log';
import { failureOf } from './failures';
import type { Session } from './session';

export type Headers = Record<string, string>;
export type Results = AsyncIterableIterator<Answer>;

/** How the editor reaches the API: everything carries the session's token, and streams pass through `log`. */
export function createFetcher(session: Session, log: EventLog, onAnswer: (answer: Answer) => void): Fetcher {
  const execute = async (request: FetcherParams, own: Headers): Promise<Answer> => {
    const answer = await post(request, { ...bearer(await session.accessToken()), ...own });
    onAnswer(answer);
    return answer;
  };
  const fetcher = (given: FetcherParams, options?: Parameters<Fetcher>[1]): Promise<Answer> | Results => {
    const own = (options?.headers ?? {}) as Headers;
    const { request, streams } = meant(given);
    if (!streams) return execute(request, own).catch(failureOf);
    const headers = async (): Promise<Headers> => ({ ...bearer(await session.accessToken()), ...own });
    return log.follow(log.transport === 'sse' ? overSse(request, headers) : overSocket(request, headers), onAnswer);
  };
  return fetcher as Fetcher;
}

/** The request that is meant: just after a change of tabs, GraphiQL still gives the name of the other tab's operation. */
function meant(request: FetcherParams): { request: FetcherParams; streams: boolean } {
  let operations: OperationDefinitionNode[];
  try {
    operations = parse(request.query).definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  } catch {
    return { request: { query: request.query, variables: request.variables }, streams: false };
  }
  const named = operations.find(({ name }) => name?.value === request.operationName);
  const operation = named ?? (operations.length === 1 ? operations[0] : undefined);
  return {
    request: { ...request, operationName: operation ? operation.name?.value : request.operationName },
    streams: operation?.operation === 'subscription',
  };
}

// No retries in either: what the server says at the end of a stream is what one came here to see.

function overSocket({ query, variables, operationName }: FetcherParams, headers: () => Promise<Headers>): Results {
  const client = createSocketClient({
    url: ENDPOINT.replace(/^http/, 'ws'),
    connectionParams: headers,
    retryAttempts: 0,
  });
  const payload = { query, variables: variables as Record<string, unknown>, operationName };
  return client.iterate(payload) as Results;
}

function overSse({ query, variables, operationName }: FetcherParams, headers: () => Promise<Headers>): Results {
  const client = createSseClient({ url: ENDPOINT, headers, retryAttempts: 0 });
  const payload = { query, variables: variables as Record<string, unknown>, operationName: operationName ?? undefined };
  return client.iterate(payload) as Results;
}
