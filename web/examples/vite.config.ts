import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

const pages = [
  "index",
  "quickstart",
  "tiptap",
  "comments",
  "codemirror",
  "quill",
  "lexical",
  "monaco",
  "blocknote",
  "blocknote-comments",
  "hooks",
  "plain",
  "webrtc",
  "stock",
];

export default defineConfig(({ mode }) => {
  const { VITE_REALTIME_SERVER_URL: target = "http://localhost:3001" } = loadEnv(mode, ".", "VITE_");
  const proxy = {
    "/socket.io": { target, changeOrigin: true, ws: true },
    "/api": { target, changeOrigin: true },
    "/dev": { target, changeOrigin: true },
    "/yjs": { target, changeOrigin: true, ws: true },
    "/hocuspocus": { target, changeOrigin: true, ws: true },
  };
  return {
    plugins: [react()],
    server: { proxy },
    preview: { proxy },
    build: {
      // The pages are large because of the editors.
      chunkSizeWarningLimit: 5_000,
      rolldownOptions: { input: pages.map((page) => `${page}.html`) },
    },
  };
});
