import { defineConfig } from 'vite';

// The page is served at …/graphql and its files at …/graphql/static/, under whatever prefix a proxy adds.
const STATIC = 'graphql/static/';

export default defineConfig({
  build: {
    outDir: '../../api/static/playground',
    emptyOutDir: true,
    // The Content-Security-Policy knows no data: scripts, and small files cost little over one connection.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 3000,
    license: { fileName: 'licenses.md' },
    reportCompressedSize: false,
    rolldownOptions: {
      onLog(level, log, report) {
        // "use client" in React packages means nothing to a page without a server half.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') report(level, log);
      },
    },
  },
  experimental: {
    renderBuiltUrl(filename, { hostType }) {
      return hostType === 'html' ? STATIC + filename.replace(/^assets\//, '') : { relative: true };
    },
  },
});
