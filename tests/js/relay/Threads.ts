import { graphql } from "relay-runtime";

/** The list of threads, page by page. */
export const threadsQuery = graphql`
  query ThreadsQuery {
    viewer {
      user {
        username
      }
    }
    ...Threads_query
  }
`;

export const threads = graphql`
  fragment Threads_query on Query
  @refetchable(queryName: "ThreadsPaginationQuery")
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "Cursor" }) {
    threads(first: $first, after: $after) @connection(key: "Threads_threads") {
      __id
      changesCursor
      edges {
        node {
          id
          title
          updatedAt
          lastMessage {
            sender
            text
          }
        }
      }
    }
  }
`;

/** A new thread comes first in the list. */
export const createThread = graphql`
  mutation ThreadsCreateMutation($input: CreateThreadInput!, $connections: [ID!]!) {
    createThread(input: $input) {
      ... on CreateThreadSuccess {
        thread @prependNode(connections: $connections, edgeTypeName: "ThreadEdge") {
          id
          title
        }
      }
      ... on Error {
        message
      }
    }
  }
`;

/** A deleted one leaves it. */
export const deleteThread = graphql`
  mutation ThreadsDeleteMutation($input: DeleteThreadInput!, $connections: [ID!]!) {
    deleteThread(input: $input) {
      ... on DeleteThreadSuccess {
        thread {
          id @deleteEdge(connections: $connections)
        }
      }
      ... on Error {
        message
      }
    }
  }
`;
