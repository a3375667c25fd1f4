// The rules that @graphql-eslint recommends for schemas, and those of Relay.
import graphql from "@graphql-eslint/eslint-plugin";

const { "flat/schema-recommended": recommended, "flat/schema-relay": relay } = graphql.configs;

export default [
  {
    files: ["**/*.graphql"],
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: "schema.graphql" } },
    },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...recommended.rules,
      ...relay.rules,
      // Failures, results, events and values have no identity; what has one implements Node.
      "@graphql-eslint/strict-id-in-types": "off",
      // `username` is one word, and what everybody calls it.
      "@graphql-eslint/no-typename-prefix": "off",
      // Short lists that always come whole, such as a message's attachments, need no pages.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
    },
  },
];
