import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types of the schema and of every operation in `src`; written anew by each build. */
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: 'src/api/operations.ts',
  generates: {
    'src/api/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        enumsAsTypes: true,
        useTypeImports: true,
        scalars: { Cursor: 'string', DateTime: 'string', JSON: 'unknown', UUID: 'string', Upload: 'File' },
      },
    },
  },
};

export default config;
