// The operations of operations.graphql, each as a document of its own.
import { readFileSync } from "node:fs";
import { parse } from "graphql";

const source = readFileSync(new URL("../operations.graphql", import.meta.url), "utf8");

/** The text of each operation by its name. */
export const operations = Object.fromEntries(
  parse(source).definitions.map(({ name, loc }) => [name.value, source.slice(loc.start, loc.end)]),
);
