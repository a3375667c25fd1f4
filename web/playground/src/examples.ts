/** What stands in an example until the answer to another one gives the value. */
export const PLACEHOLDERS = {
  threadId: '<run CreateThread: its id goes here>',
  runId: '<run SendMessage: its id goes here>',
  model: '<sign in: a model goes here>',
};

const json = (value: unknown): string => JSON.stringify(value, null, 2);

/** The tabs that a new browser tab opens with. Their titles are the names of the operations. */
export const EXAMPLES = [
  {
    query: `# The form above does this, for all that the page sends.
# Run it here, and the page is signed in, too.
mutation SignIn {
  login(input: { username: "ada", password: "…" }) {
    __typename
    ... on LoginSuccess {
      tokens { accessToken refreshToken expiresIn }
      viewer { user { username } permissions }
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    query: `# Your threads, newest first; \`after: endCursor\` goes on.
query Threads {
  threads(first: 20) {
    totalCount
    edges {
      cursor
      node { id title messageCount lastMessage { text } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  },
  {
    query: `# Its id is put into the variables of SendMessage.
mutation CreateThread($input: CreateThreadInput!) {
  createThread(input: $input) {
    __typename
    ... on CreateThreadSuccess { thread { id title } }
    ... on Error { code message }
  }
}
`,
    variables: json({ input: { title: 'The colour of the sky' } }),
  },
  {
    query: `# Answers at once, while the model begins to write.
# The run's id is put into RunEvents: watch it there.
mutation SendMessage($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename
    ... on SendMessageSuccess {
      userMessage { id text }
      run { id status }
    }
    ... on Error { code message }
  }
}
`,
    variables: json({
      input: { threadId: PLACEHOLDERS.threadId, text: 'Why is the sky blue?', model: PLACEHOLDERS.model },
    }),
  },
  {
    query: `# An answer as it is written, up to one RunEnded.
# \`after\`: the last cursor you saw, to go on behind it.
subscription RunEvents($runId: UUID!, $after: Cursor) {
  runEvents(runId: $runId, after: $after) {
    __typename
    ... on RunSnapshot { cursor text status }
    ... on RunStatusChanged { cursor status }
    ... on RunDelta { cursor text }
    ... on RunEnded {
      cursor
      status
      error { code message }
      assistantMessage { id text }
    }
    ... on CursorExpired {
      cursor
      earliest
      snapshot { text status }
    }
  }
}
`,
    variables: json({ runId: PLACEHOLDERS.runId }),
  },
  {
    query: `# What happens to your threads, on any device.
subscription ThreadsChanged($after: Cursor) {
  threadsChanged(after: $after) {
    __typename
    ... on ThreadUpdated {
      cursor
      thread { id title messageCount }
    }
    ... on ThreadRemoved { cursor threadId }
    ... on ThreadsCaughtUp { cursor }
  }
}
`,
  },
];
