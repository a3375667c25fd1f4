import { graphql } from "relay-runtime";

/** A thread with its messages, newest first; read again by its id alone. */
export const conversation = graphql`
  fragment Conversation_thread on Thread
  @refetchable(queryName: "ConversationRefetchQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 50 }, before: { type: "Cursor" }) {
    title
    messages(last: $count, before: $before) @connection(key: "Conversation_messages") {
      edges {
        node {
          id
          text
          attachments {
            filename
            downloadUrl
          }
          run {
            status
            usage {
              completionTokens
            }
          }
        }
      }
    }
    activeRun {
      id
      cursor
    }
  }
`;

export const conversationQuery = graphql`
  query ConversationQuery($id: UUID!) {
    thread(id: $id) {
      ...Conversation_thread
    }
  }
`;

/** The answer while it is written. */
export const answer = graphql`
  subscription ConversationAnswerSubscription($runId: UUID!, $after: Cursor) {
    runEvents(runId: $runId, after: $after) {
      __typename
      ... on Event {
        cursor
      }
      ... on RunSnapshot {
        text
      }
      ... on RunDelta {
        text
      }
      ... on RunEnded {
        status
        assistantMessage {
          ...Conversation_message
        }
      }
      ... on CursorExpired {
        snapshot {
          text
        }
      }
    }
  }
`;

export const message = graphql`
  fragment Conversation_message on Message @refetchable(queryName: "ConversationMessageQuery") {
    text
    status
    parent {
      text
    }
  }
`;
