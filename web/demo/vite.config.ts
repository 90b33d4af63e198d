import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

// The page always sends its requests to its own origin. During development that is Vite, which forwards them to the server of
// VITE_REALTIME_SERVER_URL. The variable is not part of the built page, so the build has the same bytes on every machine.
export default defineConfig(({ mode }) => {
  const { VITE_REALTIME_SERVER_URL: target = "http://localhost:3001" } = loadEnv(mode, ".", "VITE_");
  const paths = ["/api", "/dev", "/health", "/metrics", "/docs", "/client.tgz", "/pages.css"];
  const proxy = {
    "/socket.io": { target, changeOrigin: true, ws: true },
    ...Object.fromEntries(paths.map((path) => [path, { target, changeOrigin: true }])),
  };
  return {
    // Relative, so that the page works at `/` and below any folder.
    base: "./",
    plugins: [react()],
    server: { port: 5173, proxy },
    preview: { port: 4173, proxy },
    build: {
      // Browsers with CSS light-dark(), which the styles are written in.
      target: ["chrome123", "edge123", "firefox120", "safari17.5"],
      // The content security policy allows no inline scripts, and these browsers need no polyfill.
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      sourcemap: false,
      rolldownOptions: {
        output: {
          entryFileNames: "assets/[name]-[hash].js",
          chunkFileNames: "assets/[name]-[hash].js",
          assetFileNames: "assets/[name]-[hash][extname]",
        },
      },
    },
  };
});
