/** Every operation that this client sends; their types are generated from the schema. */
import { graphql } from './gql';

export const VIEWER = graphql(`
  query Viewer {
    viewer {
      user { id username fullName }
      permissions
      maxBodyBytes
    }
  }
`);

export const HAS_ACCOUNTS = graphql(`
  query HasAccounts { hasAccounts }
`);

export const LOGIN = graphql(`
  mutation Login($input: LoginInput!) {
    login(input: $input) {
      __typename
      ... on LoginSuccess {
        tokens { accessToken refreshToken expiresIn }
        viewer { user { id } }
      }
      ... on Error { code message }
    }
  }
`);

export const REGISTER = graphql(`
  mutation Register($input: RegisterInput!) {
    register(input: $input) {
      __typename
      ... on Error { code message }
    }
  }
`);

export const REFRESH = graphql(`
  mutation Refresh($input: RefreshInput!) {
    refresh(input: $input) {
      __typename
      ... on RefreshSuccess { tokens { accessToken refreshToken expiresIn } }
    }
  }
`);

export const LOGOUT = graphql(`
  mutation Logout { logout { __typename } }
`);

export const MODELS = graphql(`
  query Models { models { id name } }
`);

export const THREAD_PARTS = graphql(`
  fragment ThreadParts on Thread {
    id
    title
    messageCount
    isDeleted
    awaitsSecret
    updatedAt
    activeRun { id status }
  }
`);

export const THREADS = graphql(`
  query Threads($first: Int!, $after: Cursor) {
    threads(first: $first, after: $after) {
      nodes { ...ThreadParts }
      pageInfo { hasNextPage endCursor }
      changesCursor
    }
  }
`);

export const THREADS_CHANGED = graphql(`
  subscription ThreadsChanged($after: Cursor) {
    threadsChanged(after: $after) {
      __typename
      ... on Event { cursor }
      ... on ThreadUpdated { thread { ...ThreadParts } }
      ... on ThreadRemoved { threadId }
    }
  }
`);

export const CREATE_THREAD = graphql(`
  mutation CreateThread($input: CreateThreadInput!) {
    createThread(input: $input) {
      __typename
      ... on CreateThreadSuccess { thread { ...ThreadParts } }
      ... on Error { code message }
    }
  }
`);

export const RENAME_THREAD = graphql(`
  mutation RenameThread($input: UpdateThreadInput!) {
    updateThread(input: $input) {
      __typename
      ... on UpdateThreadSuccess { thread { ...ThreadParts } }
      ... on Error { code message }
    }
  }
`);

export const DELETE_THREAD = graphql(`
  mutation DeleteThread($input: DeleteThreadInput!) {
    deleteThread(input: $input) {
      __typename
      ... on Error { code message }
    }
  }
`);

export const RESTORE_THREAD = graphql(`
  mutation RestoreThread($input: RestoreThreadInput!) {
    restoreThread(input: $input) {
      __typename
      ... on RestoreThreadSuccess { thread { ...ThreadParts } }
      ... on Error { code message }
    }
  }
`);

export const DELETED_THREADS = graphql(`
  query DeletedThreads($first: Int!, $after: Cursor) {
    threads(first: $first, after: $after, onlyDeleted: true) {
      nodes { id title deletedAt }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

export const EXPORT_ADDRESS = graphql(`
  query ExportAddress($id: UUID!, $format: ExportFormat!) {
    thread(id: $id) { exportUrl(format: $format) }
  }
`);

export const RUN_PARTS = graphql(`
  fragment RunParts on Run {
    id
    status
    model
    modelLabel
  }
`);

export const MESSAGE_PARTS = graphql(`
  fragment MessageParts on Message {
    id
    sender
    status
    text
    metadata
    error
    createdAt
    attachments { id filename contentType sizeBytes downloadUrl }
    parent { id }
    run { ...RunParts }
  }
`);

/** Messages come newest first: those before are behind `after`. */
export const CONVERSATION = graphql(`
  query Conversation($id: UUID!, $first: Int!, $after: Cursor) {
    thread(id: $id) {
      ...ThreadParts
      messages(first: $first, after: $after) {
        nodes { ...MessageParts }
        pageInfo { hasNextPage startCursor endCursor }
      }
    }
  }
`);

export const NEWER_MESSAGES = graphql(`
  query NewerMessages($id: UUID!, $last: Int!, $before: Cursor!) {
    thread(id: $id) {
      messages(last: $last, before: $before) {
        nodes { ...MessageParts }
        pageInfo { hasPreviousPage startCursor }
      }
    }
  }
`);

export const SEARCH = graphql(`
  query Search($query: String!, $mode: SearchMode!, $filter: SearchFilterInput, $first: Int!) {
    search(query: $query, mode: $mode, filter: $filter, first: $first) {
      edges {
        node { id title }
        matches {
          message { id }
          snippet { text highlights { start end } }
          cursor
        }
      }
      isPartial
    }
  }
`);

export const SEND = graphql(`
  mutation Send($input: SendMessageInput!) {
    sendMessage(input: $input) {
      __typename
      ... on SendMessageSuccess {
        userMessage { ...MessageParts }
        run { ...RunParts }
      }
      ... on Error { code message }
    }
  }
`);

export const RUN_EVENTS = graphql(`
  subscription RunEvents($id: UUID!, $after: Cursor) {
    runEvents(runId: $id, after: $after) {
      __typename
      ... on Event { cursor }
      ... on RunSnapshot { text runStatus: status }
      ... on RunStatusChanged { runStatus: status }
      ... on RunDelta { text }
      ... on RunEnded {
        runStatus: status
        error { code message }
        assistantMessage { ...MessageParts }
      }
      ... on CursorExpired { snapshot { cursor text runStatus: status } }
    }
  }
`);

export const CANCEL = graphql(`
  mutation Cancel($input: CancelRunInput!) {
    cancelRun(input: $input) {
      __typename
      ... on Error { code message }
    }
  }
`);

export const REGENERATE = graphql(`
  mutation Regenerate($input: RegenerateInput!) {
    regenerate(input: $input) {
      __typename
      ... on RegenerateSuccess { run { ...RunParts } }
      ... on Error { code message }
    }
  }
`);

export const USER_PARTS = graphql(`
  fragment UserParts on User {
    id
    username
    email
    fullName
    roles
    allowedProducts
    allowedAgents
    isActive
    lastLoginAt
  }
`);

export const USERS = graphql(`
  query Users($first: Int!, $after: Cursor) {
    users(first: $first, after: $after) {
      nodes { ...UserParts }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

export const CREATE_USER = graphql(`
  mutation CreateUser($input: CreateUserInput!) {
    createUser(input: $input) {
      __typename
      ... on CreateUserSuccess { user { ...UserParts } }
      ... on Error { code message }
    }
  }
`);

export const UPDATE_USER = graphql(`
  mutation UpdateUser($input: UpdateUserInput!) {
    updateUser(input: $input) {
      __typename
      ... on UpdateUserSuccess { user { ...UserParts } }
      ... on Error { code message }
    }
  }
`);

export const SERVER_STATUS = graphql(`
  query ServerStatus {
    serverStatus {
      version
      providerTrouble
      indexTrouble
      embeddingModel
      pendingTexts
      queuedRuns
      activeRuns
    }
  }
`);
