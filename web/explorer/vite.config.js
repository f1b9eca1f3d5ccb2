import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const API = process.env.ORDERWIRE_PUBLIC_URL ?? 'http://127.0.0.1:8000';

export default defineConfig({
  base: '/graphiql/',
  plugins: [react()],
  build: {
    outDir: 'dist', // `publish.js` moves it to its place whole, so that no page is served half
    target: 'es2022',
    modulePreload: { polyfill: false }, // it would be an inline script, which the page's policy forbids
    chunkSizeWarningLimit: 8000,
    rolldownOptions: {
      // Directives for React's compiler in packages that it has compiled already
      onLog: (level, log, handle) => log.code === 'MODULE_LEVEL_DIRECTIVE' || handle(level, log),
    },
  },
  // `npm run dev`, for work on this page beside a running `orderwire dev`
  server: { host: '127.0.0.1', proxy: { '/graphql': { target: API, ws: true } } },
});
