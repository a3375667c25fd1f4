import vue from '@vitejs/plugin-vue';
import { defineConfig, loadEnv } from 'vite';

export default defineConfig(({ command, mode }) => {
  const server = loadEnv(mode, '.').VITE_API_BASE_URL ?? 'http://127.0.0.1:8009';
  return {
    plugins: [vue()],
    // The server gives what is built there, whatever address the page itself is opened at.
    base: command === 'build' ? '/client/' : '/',
    define: { __VUE_OPTIONS_API__: false, __VUE_PROD_DEVTOOLS__: false },
    build: {
      outDir: '../../api/static/client',
      emptyOutDir: true,
      assetsDir: 'assets',
      // The Content-Security-Policy knows no data: scripts, and small files cost little over one connection.
      assetsInlineLimit: 0,
      license: { fileName: 'licenses.md' },
      reportCompressedSize: false,
    },
    server: {
      port: 5173,
      proxy: { '/api': server, '/graphql': { target: server, ws: true } },
    },
  };
});
