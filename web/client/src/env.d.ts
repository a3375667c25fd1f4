/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** Where the API is, if it is not where the page comes from. */
  readonly VITE_API_BASE_URL?: string;
  /** Models to offer while the provider tells none, separated by commas. */
  readonly VITE_OPENAI_FALLBACK_MODELS?: string;
}
