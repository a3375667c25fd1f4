// Types of the schema, and of operations.graphql, by GraphQL Code Generator, into the current directory.
import { readFileSync, writeFileSync } from "node:fs";

import { codegen } from "@graphql-codegen/core";
import * as typescript from "@graphql-codegen/typescript";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

const same = (type) => ({ input: type, output: type });
const config = {
  strictScalars: true,
  scalars: {
    Cursor: same("string"),
    DateTime: same("string"),
    JSON: same("unknown"),
    Upload: same("Blob"),
    UUID: same("string"),
  },
};
const read = (location) => parse(readFileSync(location, "utf8"));
const schema = read("schema.graphql");
const location = new URL("operations.graphql", import.meta.url);
const documents = [{ location: location.pathname, document: read(location) }];

for (const [filename, plugin] of [
  ["schema.ts", typescript],
  ["operations.ts", typescriptOperations],
]) {
  const pluginMap = { plugin };
  const plugins = [{ plugin: {} }];
  writeFileSync(filename, await codegen({ filename, schema, documents, plugins, pluginMap, config }));
}
